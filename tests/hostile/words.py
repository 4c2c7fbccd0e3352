"""Hostile words on the command line: values that lie, that lead outside, that name code, and random ones."""

from __future__ import annotations

import random
from pathlib import Path

from tests.hostile.case import HOME, MARKER, REFUSED, SKIPPED, TAKEN, Case

PLACES = (f"outputs={HOME}/outputs", f"reports={HOME}/reports")
TOY = ("data.n_train=4", "data.n_val=2", "data.n_test=2", "data.size=64", "imgsz=32", "epochs=1", "tracking=none")
TOUCH = f"touch {HOME}/{MARKER}"

RUN: dict[str, tuple[str, ...]] = {
    "model-path": ("model=../../etc/passwd",),
    "model-empty": ("model=",),
    "model-null": ("model=null",),
    "shell-in-a-name": (f"data='$({TOUCH})'",),
    "size-in-floats": ("imgsz=1e9",),
    "size-beyond-64-bits": ("imgsz=9223372036854775808000",),
    "size-of-a-petabyte": ("imgsz=1048576",),
    "size-negative": ("imgsz=-32",),
    "interpolates-itself": ("imgsz=${imgsz}",),
    "interpolates-nothing": ("lr=${nope}",),
    "resolver-unknown": ("lr=${eval:1}",),
    "lr-overflows": ("lr=1e400",),
    "lr-underflows": ("lr=1e-400",),
    "lr-minus-zero": ("lr=-0.0",),
    "seed-beyond-32-bits": ("seed=4294967296",),
    "seed-beyond-64-bits": ("seed=99999999999999999999",),
    "epochs-for-ever": ("epochs=1000000000000",),
    "batch-of-a-billion": ("batch=1000000000",),
    "threads": ("threads=100000",),
    "device-shell": (f"device='cpu; {TOUCH}'",),
    "device-far": ("device=cuda:99",),
    "sweep-dots": ("-m", "seed=1,2", "sweep=.."),
    "sweep-slash": ("-m", "seed=1,2", "sweep=a/b"),
    "sweep-absolute": ("-m", "seed=1,2", f"sweep={HOME}/escaped"),
    "sweep-newline": ("-m", "seed=1,2", "sweep='a\nb'"),
    "sweep-quote": ("-m", "seed=1,2", "sweep=\"it's\""),
    "sweep-formula": ("-m", "seed=1,2", "sweep='=cmd|calc'"),
    "sweep-html": ("-m", "seed=1,2", "sweep='<script>x</script>'"),
    "sweep-unicode": ("-m", "seed=1,2", "sweep='é\u202egnp'"),
    "sweep-long": ("-m", "seed=1,2", "sweep=" + "a" * 101),
    "outputs-is-a-device": ("outputs=/dev/null",),
    "outputs-below-a-file": (f"outputs={HOME}/in/file/below",),
    "outputs-in-proc": ("outputs=/proc/detsweep",),
    "storage-nonsense": ("-m", "seed=1,2", "study.storage=nonsense"),
    "storage-no-folder": ("-m", "seed=1,2", f"study.storage=sqlite:///{HOME}/in/none/x.db"),
    "storage-not-a-database": ("-m", "seed=1,2", f"study.storage=sqlite:///{HOME}/in/file"),
    "storage-refuses": ("-m", "seed=1,2", "study.storage=postgresql://u:p@127.0.0.1:1/x"),
    "tracking-file": ("tracking=local", "tracking.uri=file:///tmp/x"),
    "tracking-script": ("tracking=local", "tracking.uri='javascript:alert(1)'"),
    "tracking-not-a-database": ("tracking=local", f"tracking.uri=sqlite:///{HOME}/in/file"),
    "tracking-experiment": ("tracking=local", "tracking.experiment=../../x"),
    "weights-endless": ("model.weights=/dev/zero",),
    "weights-text": (f"model.weights={HOME}/in/file",),
    "weights-folder": (f"model.weights={HOME}/in",),
    "weights-pipe": (f"model.weights={HOME}/in/pipe.pt",),
    "distil-text": ("train=distill", f"train.distill_model={HOME}/in/file"),
    "replay-path": ("replay=../../../etc/passwd",),
    "replay-glob": ("replay='******'",),
    "target-sampler": ("-m", "seed=1,2", "hydra.sweeper.sampler._target_=os.system",
                       f"+hydra.sweeper.sampler.command='{TOUCH}'"),
    "target-sampler-of-a-study": ("-m", "lr=interval(0.1,0.2)", "hydra.sweeper.n_trials=2",
                                  "hydra.sweeper.sampler._target_=os.system",
                                  f"+hydra.sweeper.sampler.command='{TOUCH}'"),
    "target-callback": (f"+hydra.callbacks.x={{_target_:subprocess.call,args:'{TOUCH}',shell:true}}",),
    "target-callback-run": (f"+hydra.callbacks.x={{_target_:runpy.run_path,path_name:{HOME}/in/evil.py}}",),
    "target-callback-load": (f"+hydra.callbacks.x={{_target_:torch.load,f:{HOME}/in/evil.pkl,weights_only:false}}",),
    "target-callback-pickle": (f"+hydra.callbacks.x={{_target_:pandas.read_pickle,"
                               f"filepath_or_buffer:{HOME}/in/evil.pkl}}",),
    "target-launcher": ("-m", "seed=1,2", "hydra.launcher._target_=runpy.run_path",
                        f"+hydra.launcher.path_name={HOME}/in/evil.py"),
    "target-sweeper": ("-m", "seed=1,2", "hydra.sweeper._target_=runpy.run_path",
                       f"+hydra.sweeper.path_name={HOME}/in/evil.py"),
    "target-logging": (f"+hydra.job_logging.handlers.x={{\"()\":runpy.run_path,path_name:{HOME}/in/evil.py}}",
                       "+hydra.job_logging.root.handlers=[x]"),
    "target-in-the-configuration": ("+model._target_=os.system", f"+model.command='{TOUCH}'"),
    "search-path-missing": ("hydra.searchpath=[file:///none/there]", "model=evil"),
    "primary-configuration": ("--config-dir", "/none/there"),
    "primary-name": ("--config-name", "../../etc/passwd"),
    "delete-a-group": ("~model",),
    "unbalanced": ("lr=[",),
    "unbalanced-brace": ("lr={a:",),
    "lonely-quote": ("'",),
    "lonely-equals": ("=",),
    "twice-equals": ("lr==1",),
    "empty-word": ("",),
    "long-word": ("lr=" + "9" * 20000,),
    "deep-word": ("lr=" + "[" * 400 + "]" * 400,),
    "seeds-endless": ("-m", "seed=range(0,1000000000)"),
    "grid-endless": ("-m", "lr=range(1,1000000000)"),
    "trials-endless": ("-m", "lr=interval(0.1,0.2)", "hydra.sweeper.n_trials=1000000000"),
    "trials-negative": ("-m", "lr=interval(0.1,0.2)", "hydra.sweeper.n_trials=-3"),
    "interval-of-nan": ("-m", "lr=interval(nan,1)", "hydra.sweeper.n_trials=2"),
    "interval-backwards": ("-m", "lr=interval(1,0.1)", "hydra.sweeper.n_trials=2"),
    "interval-log-of-zero": ("-m", "lr=tag(log,interval(0,1))", "hydra.sweeper.n_trials=2"),
    "choice-of-nothing": ("-m", "lr=choice()"),
    "sweep-an-unknown-key": ("-m", "nope=1,2"),
    "sweep-what-is-no-training": ("-m", f"reports={HOME}/out/a,{HOME}/out/b"),
    "retries-for-ever": ("-m", "seed=1,2", "study.retries=-1"),
    "workers-below-none": ("-m", "seed=1,2", "study.workers=-1"),
    "workers-of-a-million": ("-m", "seed=1,2", "study.workers=1000000"),
    "timeout-nan": ("study.trial_timeout=nan",),
    "fraction-nan": ("data.fraction=nan",),
    "group-malformed": ('data.group="(("',),
    "group-of-everything": ('data.group="^"',),
    "batches-empty": ("benchmark.batches=[]",),
    "min-seconds-endless": ("benchmark.min_seconds=inf",),
    "decision-nan": ("decision.max_latency_ms=nan",),
    "decision-negative": ("decision.min_map=-1e999",),
    "tolerance-nan": ("export.tolerance=nan",),
}  # fmt: skip

OTHERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "report-dots": ("src.report", ("sweep=../..", *PLACES)),
    "report-nothing": ("src.report", ("sweep=", *PLACES)),
    "report-language": ("src.report", ("report.language=../../x", *PLACES)),
    "report-compare-one": ("src.report", ("compare=a", *PLACES)),
    "report-compare-dots": ("src.report", ("'compare=../a,../b'", *PLACES)),
    "predict-endless-model": ("src.predict", ("model=/dev/zero", f"source={HOME}/in", f"out={HOME}/out")),
    "predict-text-model": ("src.predict", (f"model={HOME}/in/file", f"source={HOME}/in", f"out={HOME}/out")),
    "predict-pipe-model": ("src.predict", (f"model={HOME}/in/pipe.pt", f"source={HOME}/in", f"out={HOME}/out")),
    "predict-conf-nan": ("src.predict", ("model=a.onnx", f"source={HOME}/in", "conf=nan")),
    "predict-iou": ("src.predict", ("model=a.onnx", f"source={HOME}/in", "iou=-1")),
    "predict-save": ("src.predict", ("model=a.onnx", f"source={HOME}/in", "save=[exe]")),
    "predict-batch": ("src.predict", ("model=a.onnx", f"source={HOME}/in", "batch=0")),
    "predict-brackets": ("src.predict", ("model=[[[", "source={{{")),
    "predict-source-none": ("src.predict", ("model=a.onnx", f"source={HOME}/none")),
    "predict-names-endless": ("src.predict", ("model=a.onnx", f"source={HOME}/in", "names=/dev/zero")),
    "benchmark-none": ("src.benchmark", (f"artifacts={HOME}/none", f"outputs={HOME}/outputs", f"out={HOME}/out")),
    "benchmark-text": ("src.benchmark", (f"artifacts={HOME}/in/file", f"outputs={HOME}/outputs", f"out={HOME}/out")),
    "data-no-command": ("src.data", ("destroy", "data=digits")),
    "data-target": ("src.data", ("convert", "data=digits", "to=exe", f"out={HOME}/out", f"outputs={HOME}/outputs")),
    "data-side": ("src.data", ("resize", "data=digits", "side=-5", f"out={HOME}/out", f"outputs={HOME}/outputs")),
    "data-threshold": ("src.data", ("balance", "data=digits", "threshold=nan", f"out={HOME}/out",
                                    f"outputs={HOME}/outputs")),
    "data-out-exists": ("src.data", ("convert", "data=digits", f"out={HOME}/in", f"outputs={HOME}/outputs")),
    "data-video-text": ("src.data", ("frames", f"video={HOME}/in/file", f"out={HOME}/out", "every=1")),
    "data-video-endless": ("src.data", ("frames", "video=/dev/zero", f"out={HOME}/out", "every=1")),
    "data-every": ("src.data", ("frames", f"video={HOME}/in/file", f"out={HOME}/out", "every=0")),
    "data-path-endless": ("src.data", ("check", "data=yolo", "data.path=/dev/zero", f"outputs={HOME}/outputs")),
    "data-path-pipe": ("src.data", ("check", "data=yolo", f"data.path={HOME}/in/pipe.pt", f"outputs={HOME}/outputs")),
    "data-remote-option": ("src.data", ("track", "data=yolo", f"data.path={HOME}/in/file",
                                        f"remote='--config={HOME}/in/evil.py'", f"outputs={HOME}/outputs")),
    "evaluate-dots": ("src.evaluate", ("sweep=../..", f"outputs={HOME}/outputs")),
    "evaluate-production": ("src.evaluate", ("sweep=x", "production=nan", f"outputs={HOME}/outputs")),
    "promote-dots": ("src.promote", ("sweep=../..", f"outputs={HOME}/outputs")),
    "promote-model": ("src.promote", ("model=../../x", f"outputs={HOME}/outputs")),
    "promote-accept": ("src.promote", ("accept=everything", f"outputs={HOME}/outputs")),
    "promote-threads": ("src.promote", ("threads=-1", f"outputs={HOME}/outputs")),
}  # fmt: skip

SOUND = {  # odd, but nothing is wrong with it
    "decision-negative": (REFUSED, TAKEN),
    "epochs-for-ever": (REFUSED, TAKEN),
    "batch-of-a-billion": (REFUSED, TAKEN),
    "sweep-what-is-no-training": (REFUSED, TAKEN),
    "target-launcher": (REFUSED, TAKEN),  # it is never used
}

KEYS = ("imgsz", "lr", "seed", "epochs", "batch", "device", "threads", "model", "data", "train", "export", "runtime",
        "sweep", "model.weights", "model.scale", "model.architecture",
        "data.path", "data.kind", "data.n_val", "data.on_error",
        "data.val_share", "train.optimizer", "train.schedule", "augment.mosaic", "export.targets", "export.opset",
        "runtime.engines", "benchmark.batches", "benchmark.rounds", "decision.latency", "decision.runtime",
        "study.storage", "study.gpus", "study.pruner", "tracking.uri", "tracking.experiment",
        "tracking.system_interval_s", "report.language")  # fmt: skip
VALUES = ("", "null", "true", "-1", "0", "1e308", "nan", "inf", "[]", "[null]", "[1,[2]]", "{}", "{a:1}", "'../../x'",
          "'a\nb'", "'\u202e'", "'\U0001f4a5'", "'%s%n'", "'${oc.env:PATH}'", "${oc.env:NOT_SET_ANYWHERE}", "'<b>'",
          "'=1+1'", "0x7fffffffffffffff", "'" + "A" * 5000 + "'", "'\\x00'", "/dev/null", "/dev/full",
          "${oc.decode:'[['}", "'`id`'", "??"
          "?")  # fmt: skip


def lay_out(home: Path) -> None:
    """Files that hostile words point at."""
    import os
    import pickle

    (home / "in" / "file").write_text("just text\n")
    (home / "in" / "evil.py").write_text(f"open({str(home / MARKER)!r}, 'w')\n")
    (home / "in" / "evil.pkl").write_bytes(pickle.dumps(Evil(str(home / MARKER)), protocol=2))
    os.mkfifo(home / "in" / "pipe.pt")


class Evil:
    """Unpickled, it makes a file."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (self.marker, "w")


def cases() -> list[Case]:
    """All of them."""
    found = [
        Case("words", name, "src.run", (*TOY, *PLACES, *words), lay_out, SOUND.get(name, (REFUSED,)))
        for name, words in RUN.items()
    ]
    found += [Case("words", name, module, words, lay_out, (REFUSED,)) for name, (module, words) in OTHERS.items()]
    return found + generated()


def generated(count: int = 40) -> list[Case]:
    """Random keys with random values: refused or sound, never a crash."""
    rng = random.Random(20260721)
    pairs = [(rng.choice(KEYS), rng.choice(VALUES)) for _ in range(count)]
    return [
        Case(
            "words",
            f"random-{i}-{key}",
            "src.run",
            (*TOY, *PLACES, f"{key}={value}"),
            lay_out,
            (REFUSED, TAKEN, SKIPPED),
        )
        for i, (key, value) in enumerate(pairs)
    ]
