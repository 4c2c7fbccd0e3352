"""LiteRT without and with `export.rewrite=[upsample]`: operators that XNNPACK leaves out, and latency in turns.

python -m benchmarks.xnnpack [px …]

A YOLOv8n is trained for one epoch, which speed does not depend on, and exported at each size without and with the
rewrite. Both files are timed by the program's own benchmark: interleaved rounds in processes of their own, a ratio with
its interval.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks._table import lines
from src.benchmark import measure
from src.common.speed import compare_rounds
from src.config.schema import BenchmarkConfig, DataConfig, ExportConfig
from src.data import load_split, resolve
from src.export import export
from src.records.schema import Artifact, Checkpoint, TrialRecord
from src.records.store import load

OUT = Path("outputs/bench/xnnpack")
SIZES, THREADS = (320,), (1,)
TIMES = BenchmarkConfig(name="bench", warmup=5, min_seconds=6.0, min_samples=160, max_seconds=20, rounds=8)


def trained(imgsz: int) -> Checkpoint:
    """The checkpoint of one epoch."""
    words = [f"imgsz={imgsz}", "epochs=1", "data.n_train=32", "data.n_val=8", "data.n_test=4", "model=v8n"]
    stages = ["export=none", "tracking=none", "benchmark=quick", "runtime.engines=[]"]
    return trained_once(OUT / str(imgsz), *words, *stages)


def trained_once(place: Path, *words: str) -> Checkpoint:
    """The checkpoint of a single run, trained now where that has not been done."""
    runs = place / "runs"
    if not (known := list(runs.glob("*/trials/0000/record.json"))):
        subprocess.run([sys.executable, "-m", "src.run", *words, f"outputs={place}"], check=True, stdout=sys.stderr)
        known = list(runs.glob("*/trials/0000/record.json"))
    found = load(TrialRecord, known[0])
    assert found.checkpoint is not None
    return found.checkpoint


def files_of(checkpoint: Checkpoint) -> list[tuple[str, Artifact]]:
    """The file as it is, and rewritten."""
    plain = ExportConfig(name="bench")
    place = OUT / "artifacts" / checkpoint.sha256[:12]
    return [
        (name, export(checkpoint, "litert/fp32", place / name, replace(plain, rewrite=rewrite)))
        for name, rewrite in (("as it is", []), ("upsample", ["upsample"]))
    ]


def main() -> int:
    """Print operators and ratios."""
    data = DataConfig(name="digits", kind="digits", n_train=8, n_val=8, n_test=4)
    images = [s.image for s in load_split(resolve(data, OUT), "val")]
    rows: list[list[object]] = [["", "px", "threads", "not delegated", "p50, ms", "ratio", "95 %", "verdict"]]
    for imgsz in [int(word) for word in sys.argv[1:]] or SIZES:
        files = files_of(trained(imgsz))
        for threads in THREADS:
            jobs = [(artifact, "litert") for _, artifact in files]
            raw = OUT / "raw" / f"{imgsz}-{threads}"
            raw.mkdir(parents=True, exist_ok=True)
            found, failures = measure(jobs, TIMES, images, threads=threads, out_dir=raw, base=OUT, end_to_end=False)
            assert not failures, failures
            by_hash = {m.artifact_sha256: m for m in found if m.batch == 1}
            first = by_hash[files[0][1].sha256].rounds["p50"]
            for name, artifact in files:
                m = by_hash[artifact.sha256]
                told = [name, imgsz, threads, artifact.facts.get("not_delegated", "?"), m.latency.p50]
                result = compare_rounds(m.rounds["p50"], first) if name != "as it is" else None
                span = f"{result.low:.3f} … {result.high:.3f}" if result else ""
                rows.append([*told, result.ratio if result else 1.0, span, result.verdict if result else ""])
    print(lines(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
