"""Hostile model files: checkpoints whose pickles run code, and exported files that are torn, lie or lead outside."""

from __future__ import annotations

import functools
import io
import json
import os
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.data.builders import picture
from tests.hostile.case import HOME, MARKER, REFUSED, SKIPPED, TAKEN, Case, payload

PREDICT = (f"source={HOME}/in/pictures", f"out={HOME}/out", "progress=false", "threads=1", "imgsz=null")
BENCH = (f"artifacts={HOME}/in/models", f"out={HOME}/out", f"outputs={HOME}/outputs", "data.n_train=4", "data.n_val=2",
         "data.n_test=2", "data.size=64", "figures=false", "imgsz=32", "benchmark=quick")  # fmt: skip
TOY = ("data.n_train=4", "data.n_val=2", "data.n_test=2", "data.size=64", "imgsz=32", "epochs=1", "tracking=none",
       f"outputs={HOME}/outputs", f"reports={HOME}/reports")  # fmt: skip


class Runs:
    """Unpickled, it calls something."""

    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call, self.arguments


class Names:
    """Pickled as an object of any module by name."""

    def __init__(self, module: str, name: str, *arguments: object) -> None:
        self.module, self.name, self.arguments = module, name, arguments


class ByName(pickle._Pickler):  # type: ignore[name-defined, misc]
    """Writes `Names` as a call of what they name, whether or not it can be imported here."""

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        plain: Any = super()
        if isinstance(obj, Names):
            write: Any = vars(self)["write"]
            write(b"c" + obj.module.encode() + b"\n" + obj.name.encode() + b"\n")
            plain.save(tuple(obj.arguments))
            write(b"R")
        else:
            plain.save(obj, save_persistent_id)


def pickled(value: object) -> bytes:
    buffer = io.BytesIO()
    ByName(buffer, 2).dump(value)
    return buffer.getvalue()


def archive(data: bytes, *, root: str = "archive", extra: dict[str, bytes] | None = None) -> bytes:
    """A zip as torch.save writes it, around any pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as store:
        store.writestr(f"{root}/data.pkl", data)
        store.writestr(f"{root}/version", b"3\n")
        store.writestr(f"{root}/byteorder", b"little")
        for name, content in (extra or {}).items():
            store.writestr(name, content)
    return buffer.getvalue()


def calls(home: Path) -> dict[str, object]:
    """Objects that run the payload while they are unpickled, by the road they take."""
    shell, marker = payload(home), str(home / MARKER)
    code = f"open({marker!r}, 'w')"
    return {
        "os-system": Runs(os.system, shell),
        "builtins-exec": Runs(exec, code),
        "builtins-eval": Runs(eval, code),
        "open": Runs(open, marker, "w"),
        "popen": Names("subprocess", "Popen", ["sh", "-c", shell]),
        "posix": Names("posix", "system", shell),
        "runpy": Names("runpy", "_run_code", compile("0", "x", "eval").co_name, {}, None, code),
        "getattr": Names("builtins", "getattr", Names("builtins", "__import__", "os"), "system"),
        "numpy-load": Names("numpy", "load", marker),
        "torch-load": Names("torch.serialization", "load", marker),
        "ultralytics-download": Names("ultralytics.utils.downloads", "safe_download", "http://127.0.0.1:1/x"),
        "ultralytics-install": Names("ultralytics.utils.checks", "check_requirements", "evil-package"),
        "a-missing-module": Names("no_such_module_anywhere", "Thing"),
        "ultralytics-missing": Names("ultralytics.nn.modules.evil", "Evil"),
        "nested": {"model": {"deep": [{"x": Runs(os.system, shell)}]}},
    }


ROADS = tuple(calls(Path("/none")))


def checkpoint(
    name: str, make: Callable[[Path], bytes], *, ends: tuple[str, ...] = (REFUSED,), **more: Any
) -> list[Case]:
    """A checkpoint given to the commands that load one, in turn."""

    def build(home: Path) -> None:
        content = make(home)
        for place in ("in/models/evil.pt", "in/evil.pt"):
            (home / place).parent.mkdir(exist_ok=True)
            (home / place).write_bytes(content)
        picture(home / "in" / "pictures" / "1.png", 1)

    words = {
        "src.predict": (f"model={HOME}/in/evil.pt", *PREDICT),
        "src.benchmark": BENCH,
        "src.run": (*TOY, f"model.weights={HOME}/in/evil.pt"),
    }
    modules = list(words)
    chosen = more.pop("modules", [modules[sum(map(ord, name)) % 3]])
    trust = {"src.run": "model.trust=true"}
    return [
        Case("checkpoints", f"{name}-{module[4:]}", module,
             (*words[module], *([trust.get(module, "trust=true")] if more.get("may_run") else [])), build, ends,
             heavy=True, **more)
        for module in chosen
    ]  # fmt: skip


def zipped(road: str, home: Path) -> bytes:
    return archive(pickled(calls(home)[road]))


def bare(road: str, home: Path) -> bytes:
    return pickled(calls(home)[road])


def hidden(road: str, home: Path) -> bytes:
    return archive(pickled({"model": None, "ema": None, "train_args": calls(home)[road]}))


def fixed(content: bytes) -> Callable[[Path], bytes]:
    return lambda home: content


def checkpoints() -> list[Case]:
    """All of them."""
    found: list[Case] = []
    for road in ROADS:
        found += checkpoint(f"zip-{road}", functools.partial(zipped, road))
    for road in ("os-system", "builtins-exec", "posix"):
        found += checkpoint(f"plain-{road}", functools.partial(bare, road))
        found += checkpoint(f"hidden-{road}", functools.partial(hidden, road))
        found += checkpoint(f"trusted-{road}", functools.partial(zipped, road), may_run=True)
    every = ["src.predict", "src.benchmark", "src.run"]
    found += checkpoint("everywhere", lambda home: archive(pickled(calls(home)["os-system"])), modules=every)
    plain: dict[str, bytes] = {
        "empty": b"",
        "text": b"not a checkpoint",
        "magic-alone": b"PK\x03\x04",
        "noise": random.Random(3).randbytes(4000),
        "an-empty-zip": b"PK\x05\x06" + bytes(18),
        "cut": archive(pickled({"model": None}))[:150],
        "a-number": archive(pickled(5)),
        "a-list": archive(pickled([1, 2])),
        "no-model": archive(pickled({"epoch": 1})),
        "model-is-text": archive(pickled({"model": "yolov8n", "ema": None})),
        "outside": archive(pickled({"model": None}), extra={"../../../escaped": b"x"}),
        "bomb": archive(pickled({"model": None}) + bytes(50_000_000)),
        "endless-pickle": archive(b"\x80\x02" + b"]" * 2_000_000 + b"."),
        "stack-of-pickle": archive(b"\x80\x02" + b"(" * 2_000_000),
        "huge-string": archive(b"\x80\x04\x8d" + (2**62).to_bytes(8, "little")),
        "memo": archive(b"\x80\x02Nr\xff\xff\xff\x7f."),
    }
    for name, content in plain.items():
        found += checkpoint(name, fixed(content))
    return found


# --- exported files


@functools.cache
def network(side: int = 32, *, classes: int = 2, rank: int = 3) -> bytes:
    """An ONNX file by hand that answers like a detector: [1, 4 + classes, 84] from the mean of its input."""
    from onnx import TensorProto, helper, numpy_helper

    shape = [1, 4 + classes, 84] if rank == 3 else [1] * rank
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "weights"], ["output0"]),
    ]
    weights = numpy_helper.from_array(np.full(shape, 0.5, np.float32), "weights")
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, shape)],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def changed(change: Callable[[Any], object]) -> bytes:
    """The network with something about it changed."""
    import onnx

    model = onnx.load_from_string(network())
    change(model)
    return bytes(model.SerializeToString())


def meta(**entries: str) -> Callable[[Any], object]:
    def change(model: Any) -> None:
        for key, value in entries.items():
            model.metadata_props.add(key=key, value=value)

    return change


def sides(*dims: int) -> Callable[[Any], object]:
    def change(model: Any) -> None:
        kept = model.graph.input[0].type.tensor_type.shape
        del kept.dim[:]
        for dim in dims:
            kept.dim.add(dim_value=dim)

    return change


def outside(location: str) -> Callable[[Any], object]:
    def change(model: Any) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = 1
        tensor.external_data.add(key="location", value=location)
        tensor.external_data.add(key="length", value=str(4 * 6 * 84))

    return change


def operator(kind: str, domain: str = "") -> Callable[[Any], object]:
    def change(model: Any) -> None:
        model.graph.node[0].op_type, model.graph.node[0].domain = kind, domain
        if domain:
            model.opset_import.add(domain=domain, version=1)

    return change


def answering(*shapes: tuple[int, ...], value: float = 0.5, **entries: str) -> bytes:
    """An ONNX file that answers with constants of these shapes, and says things of itself."""
    from onnx import TensorProto, helper, numpy_helper

    names = [f"output{i}" for i in range(len(shapes))]
    zero = numpy_helper.from_array(np.zeros(1, np.float32), "zero")
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["none"]),
    ]
    nodes += [helper.make_node("Add", [f"w{i}", "none"], [name]) for i, name in enumerate(names)]
    weights = [numpy_helper.from_array(np.full(shape, value, np.float32), f"w{i}") for i, shape in enumerate(shapes)]
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in zip(names, shapes, strict=True)]
    taken = [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 32, 32])]
    graph = helper.make_graph(nodes, "g", taken, outputs, [zero, *weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    meta(**entries)(model)
    return bytes(model.SerializeToString())


def answer(*shapes: tuple[int, ...], value: float = 0.5, **entries: str) -> Callable[[Path], bytes]:
    return lambda home: answering(*shapes, value=value, **entries)


BROKEN, ODD = (REFUSED,), (REFUSED, TAKEN)
AB: dict[str, Any] = {"names": "{0: 'a', 1: 'b'}", "task": "detect"}
# A 32 px input has 21 cells. What the file declares and what it answers with have to agree.
ANSWERS: dict[str, tuple[Callable[[Path], bytes], tuple[str, ...]]] = {
    "answers-as-declared": (answer((1, 6, 21), **AB), (TAKEN,)),
    "answers-transposed": (answer((1, 21, 6), **AB), (TAKEN,)),
    "answers-objectness": (answer((1, 63, 7), **AB), (TAKEN,)),
    "answers-nms": (answer((1, 300, 6), value=1.0, **AB, args="{'nms': True}"), (TAKEN,)),
    "answers-masks": (answer((1, 38, 21), (1, 32, 8, 8), **{**AB, "task": "segment"}), (TAKEN,)),
    "answers-pose": (answer((1, 21, 21), **{**AB, "task": "pose", "kpt_shape": "[5, 3]"}), (TAKEN,)),
    "answers-angle": (answer((1, 7, 21), **{**AB, "task": "obb"}), (TAKEN,)),
    "scores-of-159": (answer((1, 6, 21), value=159.0, **AB), BROKEN),
    "scores-of-nan": (answer((1, 6, 21), value=float("nan"), **AB), BROKEN),
    "scores-negative": (answer((1, 6, 21), value=-3.0, **AB), BROKEN),
    "ids-beyond-the-names": (answer((1, 300, 6), value=79.0, **AB, args="{'nms': True}"), BROKEN),
    "ids-not-whole": (answer((1, 300, 6), value=0.5, **AB, args="{'nms': True}"), BROKEN),
    "more-numbers-than-classes": (answer((1, 38, 21), **AB), BROKEN),
    "fewer-numbers-than-classes": (answer((1, 5, 21), **AB), BROKEN),
    "lists-that-are-none": (answer((1, 6, 21), **AB, end2end="True"), BROKEN),
    "a-classifier": (answer((1, 2), **{**AB, "task": "classify"}), BROKEN),
    "an-unknown-task": (answer((1, 6, 21), **{**AB, "task": "../evil"}), BROKEN),
    "feature-maps": (answer((1, 21, 4, 4), (1, 21, 2, 2), (1, 21, 1, 1), **AB), BROKEN),
    "a-pair-of-nonsense": (answer((1, 10, 4), (1, 10, 9), **AB), BROKEN),
    "four-outputs": (answer((1, 10, 4), (1, 10), (1, 10), (1,), **AB), BROKEN),
    "keypoints-endless": (answer((1, 6, 21), **{**AB, "task": "pose", "kpt_shape": "[99999999, 99999999]"}), BROKEN),
    "batch-of-text": (answer((1, 6, 21), **AB, batch="__import__('os')"), (TAKEN,)),
}
EVIL = "__import__('os').system('touch {}')"
ONNX: dict[str, tuple[Callable[[Path], bytes], tuple[str, ...]]] = {
    "sound": (lambda h: network(), (TAKEN,)),
    "empty": (lambda h: b"", BROKEN),
    "text": (lambda h: b"not a model", BROKEN),
    "a-pickle": (lambda h: pickled(Runs(os.system, payload(h))), BROKEN),
    "noise": (lambda h: random.Random(5).randbytes(3000), BROKEN),
    "no-input": (lambda h: changed(lambda m: m.graph.ClearField("input")), BROKEN),
    "no-output": (lambda h: changed(lambda m: m.graph.ClearField("output")), BROKEN),
    "no-graph": (lambda h: changed(lambda m: m.ClearField("graph")), BROKEN),
    "no-nodes": (lambda h: changed(lambda m: m.graph.ClearField("node")), BROKEN),
    "rank-2-input": (lambda h: changed(sides(1, 3)), BROKEN),
    "not-square": (lambda h: changed(sides(1, 3, 32, 64)), (TAKEN,)),  # run at the size it was exported for
    "negative-side": (lambda h: changed(sides(1, 3, -32, -32)), BROKEN),
    "endless-side": (lambda h: changed(sides(1, 3, 2**40, 2**40)), BROKEN),
    "a-petabyte": (lambda h: changed(sides(1, 3, 2**24, 2**24)), BROKEN),
    "one-channel": (lambda h: changed(sides(1, 1, 32, 32)), BROKEN),
    "batch-of-a-billion": (lambda h: changed(sides(10**9, 3, 32, 32)), BROKEN),
    "scalar-output": (lambda h: network(rank=1), BROKEN),
    "rank-5-output": (lambda h: network(rank=5), BROKEN),
    "no-classes": (lambda h: network(classes=0), BROKEN),
    "names-as-code": (lambda h: changed(meta(names=EVIL.format(h / MARKER))), ODD),
    "names-deep": (lambda h: changed(meta(names="[" * 5000 + "]" * 5000)), ODD),
    "names-long": (lambda h: changed(meta(names="{0: '" + "x" * 2_000_000 + "'}")), ODD),
    "names-nested": (lambda h: changed(meta(names="{0: [1, {2: 3}], 1: None}")), ODD),
    "names-formula": (lambda h: changed(meta(names="{0: '=cmd|calc', 1: '../../x'}")), ODD),
    "weights-outside": (lambda h: changed(outside("../../../../../../../etc/passwd")), BROKEN),
    "weights-absolute": (lambda h: changed(outside("/etc/passwd")), BROKEN),
    "weights-missing": (lambda h: changed(outside("none.bin")), BROKEN),
    "operator-unknown": (lambda h: changed(operator("Evil")), BROKEN),
    "operator-of-another": (lambda h: changed(operator("PyOp", "ai.onnx.contrib")), BROKEN),
    **ANSWERS,
    "opset-future": (lambda h: changed(lambda m: setattr(m.opset_import[0], "version", 9999)), BROKEN),
}


def onnx_cases() -> list[Case]:
    """ONNX files, by hand and scribbled upon, through predict and benchmark."""

    def case(name: str, make: Callable[[Path], bytes], ends: tuple[str, ...]) -> Case:
        def build(home: Path) -> None:
            (home / "in" / "evil.onnx").write_bytes(make(home))
            picture(home / "in" / "pictures" / "1.png", 1)

        words = (f"model={HOME}/in/evil.onnx", *PREDICT, "save=[json,csv,txt]")
        return Case("onnx", name, "src.predict", words, build, ends, heavy=True)

    def scribbled(home: Path, i: int) -> bytes:
        rng = random.Random(i)
        data = bytearray(network())
        if i % 3 == 0:
            del data[rng.randrange(1, len(data)) :]
        for _ in range(rng.randrange(1, 12)):
            data[rng.randrange(min(len(data), 200))] = rng.randrange(256)
        return bytes(data)

    found = [case(name, make, ends) for name, (make, ends) in ONNX.items()]
    return found + [case(f"scribbled-{i}", functools.partial(scribbled, i=i), ODD) for i in range(16)]


IR = """<?xml version="1.0"?>{doctype}<net name="n" version="11"><layers>
<layer id="0" name="images" type="Parameter" version="opset1"><data shape="{shape}" element_type="f32"/>
<output><port id="0" precision="FP32"><dim>1</dim><dim>3</dim><dim>32</dim><dim>32</dim></port></output></layer>
<layer id="1" name="w" type="Const" version="opset1"><data element_type="f32" shape="1" offset="{offset}" size="4"/>
<output><port id="0" precision="FP32"><dim>1</dim></port></output></layer>
</layers><edges/></net>"""
OPENVINO = {
    "empty": "",
    "text": "not xml",
    "torn": IR.format(doctype="", shape="1,3,32,32", offset=0)[:200],
    "laughs": IR.format(doctype='<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>', shape="&b;", offset=0),
    "outside-entity": IR.format(
        doctype='<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>', shape="&e;", offset=0
    ),
    "offset-beyond": IR.format(doctype="", shape="1,3,32,32", offset=10**15),
    "offset-negative": IR.format(doctype="", shape="1,3,32,32", offset=-8),
    "shape-endless": IR.format(doctype="", shape="1,3," + "9" * 30 + ",1", offset=0),
    "no-result": IR.format(doctype="", shape="1,3,32,32", offset=0),
}


def other_files() -> list[Case]:
    """OpenVINO, LiteRT, TensorRT and TorchScript files, and manifests beside a model."""

    def bench(kind: str, name: str, files: dict[str, Callable[[Path], bytes]]) -> Case:
        def build(home: Path) -> None:
            for path, make in files.items():
                target = home / "in" / "models" / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(make(home))

        # A file that is read but no engine here can run is listed as skipped, and then nothing was measured.
        return Case(kind, name, "src.benchmark", BENCH, build, (REFUSED, SKIPPED), heavy=True)

    found = [
        bench("openvino", name, {"m/model.xml": fixed(text.encode()), "m/model.bin": fixed(bytes(8))})
        for name, text in OPENVINO.items()
    ]
    head = b"\x1c\x00\x00\x00TFL3"
    lite = {
        "empty": b"",
        "text": b"not a model",
        "magic-alone": head,
        "magic-and-noise": head + random.Random(8).randbytes(4000),
        "magic-and-zeros": head + bytes(4000),
        "magic-and-ones": head + b"\xff" * 4000,
        "zip-of-nothing": head + archive(b""),
        "offsets-backwards": b"\xff\xff\xff\xffTFL3" + bytes(64),
    }
    found += [bench("litert", name, {"evil.tflite": fixed(content)}) for name, content in lite.items()]
    engines = {
        "empty": b"",
        "text": b"not an engine",
        "length-beyond": (90_000).to_bytes(4, "little") + b"{}",
        "metadata-deep": (60_000).to_bytes(4, "little") + b"[" * 60_000,
        "metadata-list": (2).to_bytes(4, "little") + b"[]",
        "metadata-code": (99).to_bytes(4, "little") + json.dumps({"imgsz": "__import__('os')" + " " * 66}).encode(),
        "noise": random.Random(9).randbytes(4000),
    }
    found += [bench("engine", name, {"evil.engine": fixed(content)}) for name, content in engines.items()]
    scripts: dict[str, Callable[[Path], bytes]] = {
        "empty": fixed(b""),
        "text": fixed(b"not a module"),
        "pickle": lambda h: pickled(Runs(os.system, payload(h))),
        "zip-os-system": lambda h: archive(pickled(Runs(os.system, payload(h)))),
        "code-that-lies": lambda h: archive(pickled(None), extra={"archive/code/__torch__.py": b"import os\n"}),
        "config-deep": lambda h: archive(pickled(None), extra={"archive/extra/config.txt": b"[" * 99_999}),
    }
    found += [bench("torchscript", name, {"evil.torchscript": make}) for name, make in scripts.items()]
    return found + manifests()


def manifests() -> list[Case]:
    """The manifest beside a model is as foreign as the model."""
    base = {"format": "onnx", "precision": "fp32", "path": "model.onnx", "sha256": "0" * 64, "size_bytes": 1,
            "input_shape": [1, 3, 32, 32], "export_s": 0.0, "source_sha256": ""}  # fmt: skip
    texts: dict[str, str] = {
        "text": "no json",
        "deep": "[" * 99_999,
        "a-list": "[]",
        "null": "null",
        "no-artifact": "{}",
        "artifact-number": '{"artifact": 5}',
        "unknown-field": json.dumps({"artifact": {**base, "evil": 1}}),
        "path-outside": json.dumps({"artifact": {**base, "path": "../../../../etc/passwd"}}),
        "path-number": json.dumps({"artifact": {**base, "path": 7}}),
        "path-dots": json.dumps({"artifact": {**base, "path": ".."}}),
        "path-nul": json.dumps({"artifact": {**base, "path": "a\0b"}}),
        "wrong-hash": json.dumps({"artifact": base}),
        "format-code": json.dumps({"artifact": {**base, "format": "os.system", "sha256": "@HASH@"}}),
        "format-number": json.dumps({"artifact": {**base, "format": 3, "sha256": "@HASH@"}}),
        "shape-text": json.dumps({"artifact": {**base, "input_shape": "big", "sha256": "@HASH@"}}),
        "shape-empty": json.dumps({"artifact": {**base, "input_shape": [], "sha256": "@HASH@"}}),
        "shape-endless": json.dumps({"artifact": {**base, "input_shape": [1, 3, 10**9, 10**9], "sha256": "@HASH@"}}),
        "input-endless": json.dumps(
            {"artifact": {**base, "input": {"height": 10**9, "width": 32}, "sha256": "@HASH@"}}
        ),
        "input-std": json.dumps(
            {"artifact": {**base, "input": {"height": 32, "width": 32, "std": [0, 1, 1]}, "sha256": "@HASH@"}}
        ),
        "output-odd": json.dumps({"artifact": {**base, "output": {"layout": "spiral"}, "sha256": "@HASH@"}}),
        "head-unknown": json.dumps({"artifact": {**base, "head": "../x", "sha256": "@HASH@"}}),
    }

    def case(name: str, text: str) -> Case:
        def build(home: Path) -> None:
            import hashlib

            folder = home / "in" / "onnx-fp32"
            folder.mkdir()
            (folder / "model.onnx").write_bytes(network())
            digest = hashlib.sha256(network()).hexdigest()
            (folder / "manifest.json").write_text(text.replace("@HASH@", digest))
            picture(home / "in" / "pictures" / "1.png", 1)

        words = (f"model={HOME}/in/onnx-fp32/model.onnx", *PREDICT)
        return Case("manifests", name, "src.predict", words, build, (REFUSED,), heavy=True)

    return [case(name, text) for name, text in texts.items()]


def cases() -> list[Case]:
    """All of them."""
    return [*checkpoints(), *onnx_cases(), *other_files()]
