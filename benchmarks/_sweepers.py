"""One side of `benchmarks.workers_busy` in a process of its own: `python -m benchmarks._sweepers WHAT FOLDER TRIALS`.

Trials sleep for one or four units. `ours` is one worker of a study that is laid out; `stock` is hydra-optuna-sweeper's
own loop, which launches `n_jobs` trials, waits for all of them and goes on.
"""

from __future__ import annotations

import functools
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

UNIT_S = 0.3


def seconds(index: int) -> float:
    """A quarter of the trials is four times as long, in no order that a scheduler could use."""
    return UNIT_S * (4 if index * 7919 % 13 % 4 == 0 else 1)


def run(folder: Path, index: int) -> float:
    """Sleep, and note from when to when."""
    begun = time.time()
    time.sleep(seconds(index))
    with open(folder / "spans.txt", "a", encoding="ascii") as stream:
        stream.write(f"{begun} {time.time()}\n")
    return float(index)


def ours(folder: Path, trials: int) -> None:
    """One worker."""
    from src.sweeper.loop import Outcome, work
    from src.sweeper.study import Study

    def one(cell: Any) -> Outcome:
        return Outcome([run(folder, cell.index)])

    work(laid_out(folder, trials, Study), one)


def laid_out(folder: Path, trials: int, study: Any) -> Any:
    """The study of the trials."""
    from src.sweeper.space import parse_space
    from src.sweeper.storage import open_storage

    space = parse_space({}, [f"imgsz=range(0,{trials})"], n_trials=None)
    made = study(open_storage(None, folder / "s.log"), space, {}, None)
    made.lay_out()
    return made


def stock(folder: Path, trials: int, jobs: int = 2) -> None:
    """The stock sweeper with a launcher that runs a batch's jobs side by side."""
    import optuna
    from hydra.core.utils import JobReturn, JobStatus
    from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl
    from omegaconf import OmegaConf

    class Launcher:
        def launch(self, batch: Any, initial_job_idx: int) -> list[Any]:
            def job(words: Any) -> JobReturn:
                index = int(next(word for word in words if word.startswith("x=")).split("=")[1])
                result = JobReturn()
                result.status, result.return_value = JobStatus.COMPLETED, run(folder, index)
                return result

            with ThreadPoolExecutor(len(batch)) as pool:
                return list(pool.map(job, batch))

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    impl: Any = OptunaSweeperImpl(
        sampler=functools.partial(optuna.samplers.GridSampler, seed=0),
        direction="maximize",
        storage=None,
        study_name=None,
        n_trials=trials,
        n_jobs=jobs,
        max_failure_rate=0.0,
        custom_search_space=None,
        params=OmegaConf.create({"x": f"choice({','.join(map(str, range(trials)))})"}),
    )
    impl.job_idx = 0
    impl.config = OmegaConf.create({"hydra": {"sweep": {"dir": str(folder)}, "sweeper": {}}})
    impl.launcher, impl.hydra_context, impl.config_loader = Launcher(), object(), None
    impl.sweep([])


if __name__ == "__main__":
    {"ours": ours, "stock": stock}[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
