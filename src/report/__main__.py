"""`python -m src.report sweep=NAME|latest`: write a sweep's report again from its saved records, without training."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from src.cli import ROOT, guarded
from src.report.load import find_sweep
from src.report.terminal import print_summary
from src.report.write import Options, load_ranking, write_report


@dataclass
class ReportArgs:
    """Schema of `conf/report.yaml`."""

    sweep: str = "latest"
    language: str = "en"
    outputs: str = "outputs"
    reports: str = "reports"


def run(args: ReportArgs) -> int:
    """Write the report that `args` asks for and print its tables."""
    folder = find_sweep(Path(args.outputs), args.sweep)
    path = write_report(folder, Path(args.reports), Options(language=args.language))
    print_summary(load_ranking(folder))
    print(f"report: {path}")
    return 0


def main() -> None:
    """Compose the arguments with Hydra and exit with the contract's code."""
    ConfigStore.instance().store(name="report_schema", node=ReportArgs)
    os.environ["HYDRA_FULL_ERROR"] = "1"

    def work() -> int:
        jobs: list[DictConfig] = []
        hydra.main(config_path=str(ROOT / "conf"), config_name="report")(jobs.append)()
        if not jobs:  # --help and --cfg leave no job
            return 0
        args = OmegaConf.to_object(jobs[0])
        assert isinstance(args, ReportArgs)
        return run(args)

    sys.exit(guarded(work))


if __name__ == "__main__":
    main()
