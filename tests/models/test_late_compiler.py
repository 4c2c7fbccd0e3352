"""PyTorch's compiler is loaded by whoever uses it, and by nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "torch/__init__.py": """
import importlib
def __getattr__(name):
    if name in ("_dynamo", "_inductor"):
        return importlib.import_module("." + name, __name__)
    raise AttributeError(name)
""",
    "torch/_dynamo/__init__.py": "import torch._inductor.config\ndef disable(fn, recursive=True): return 'marked'\n",
    "torch/_dynamo/utils.py": "def is_compile_supported(device): return device == 'cpu'\n",
    "torch/_dynamo/trace.py": "",
    "torch/_inductor/__init__.py": "def compile(): return 'compiled'\n",
    "torch/_inductor/config.py": "deterministic = False\nsize = 7\n",
}
LOADED = "print('dynamo' if hasattr(sys.modules['torch._dynamo'], '__file__') else 'light')\n"


def printed(folder: Path, program: str) -> list[str]:
    """The lines that a program prints, which has the light modules and a PyTorch of this test."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    path = os.pathsep.join([str(folder), str(ROOT)])
    begin = "import inspect, sys\nimport src.models\nimport torch\n"
    command = [sys.executable, "-c", begin + program]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True)
    return done.stdout.split("\n")[:-1]


def test_what_compiles_nothing_loads_no_compiler(tmp_path: Path) -> None:
    program = """
from torch._dynamo.utils import is_compile_supported
import torch._inductor.config as options
options.deterministic = True
import torch._dynamo
def f(): ...
print(torch._dynamo.disable(f, True, wrapping=False) is f, torch._dynamo.graph_break())
inspect.getmodule(object())
"""
    assert printed(tmp_path, program + LOADED) == ["True None", "light"]


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ("print(torch._inductor.compile())", "compiled"),
        ("print(options.size)", "7"),
        ("import torch._dynamo.trace; print(torch._dynamo.trace.__name__)", "torch._dynamo.trace"),
        ("print(torch._dynamo.disable(print))", "marked"),
        (
            "from torch._dynamo.utils import is_compile_supported as asked; print(asked('cpu'), asked('tpu'))",
            "True False",
        ),
    ],
)
def test_any_other_use_loads_it_with_the_options_that_were_set(tmp_path: Path, use: str, said: str) -> None:
    program = f"""
import torch._inductor.config as options
options.deterministic = True
{use}
import torch._dynamo, torch._inductor.config as real
print(hasattr(real, "__file__"), real.deterministic, sys.modules["torch._inductor"].compile())
options.deterministic = False
print(real.deterministic)
"""
    assert printed(tmp_path, program + LOADED) == [said, "True True compiled", "False", "dynamo"]


def test_a_compiler_that_is_there_is_left_alone(tmp_path: Path) -> None:
    program = "from src.models import late_compiler\nimport torch._dynamo.trace\nlate_compiler.install()\n"
    assert printed(tmp_path, program + LOADED) == ["dynamo"]


@pytest.mark.slow
def test_pytorch_itself_trains_without_and_compiles_with_it() -> None:
    program = """
import sys
import src.models, torch, torchvision
torch.use_deterministic_algorithms(True, warn_only=True)
weight = torch.nn.Parameter(torch.ones(3))
optimizer = torch.optim.AdamW([weight])
for _ in range(2):
    optimizer.zero_grad()
    torchvision.ops.nms(torch.rand(4, 4), torch.rand(4), 0.5)
    (weight * 2).sum().backward()
    optimizer.step()
optimizer.load_state_dict(optimizer.state_dict())
names = [name for name in sys.modules if name.startswith(("torch._dynamo", "torch._inductor"))]
print([name for name in names if hasattr(sys.modules[name], "__file__")])
print(torch.compile(lambda x: x * 2, backend="eager")(torch.ones(1)).item())
import torch._inductor.config
print(torch._inductor.config.deterministic, hasattr(sys.modules["torch._dynamo"], "__file__"))
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:-1] == ["[]", "2.0", "True True"]
