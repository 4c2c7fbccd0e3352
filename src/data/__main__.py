"""`python -m src.data COMMAND key=value …`: check, prepare and repair datasets without training.

check         run the gate, draw the pictures, tell what val can resolve     data=…
fingerprint   the content hash, whole and per split                          data=…
convert       to another layout, in a new folder       data=… out=DIR to=yolo|coco|voc|label_studio|cvat
split         new seeded, class-stratified splits                            data=… out=DIR data.val_share=0.15
dedupe        leave out exact and near duplicates                            data=… out=DIR near=true
balance       repeat train images of rare classes                            data=… out=DIR threshold=0.1
augment       changed copies of train images beside them; boxes stay whole   data=… out=DIR copies=2 noise=0.05 crop=0.2
resize        shrink large images                                            data=… out=DIR side=640
stretch       8-bit copies of 16-bit images that use a part of their range   data=… out=DIR
folds         a dataset for each fold of a cross-validation                  data=… out=DIR folds=5 link=true
download      from Kaggle or Open Images, into a new folder                  from=kaggle name=OWNER/DATASET out=DIR
                                                                             from=openimages classes=[Dog] limit=200
frames        pictures from a video                                          video=FILE out=DIR every=30 | every_s=1
track         put a dataset under DVC                                        data=… remote=URL
                                                       of S3-compatible servers: endpoint=URL region=NAME ssl=false
key           a new key for encrypted images, to be kept in a safe place
encrypt       a copy of a folder with its images encrypted                   source=FOLDER out=DIR
Tools that write take dry_run=true, and only ever write a new folder. data.on_error=skip leaves faulty images out.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from src.cli.command import application
from src.common.errors import EXIT_USAGE, UserError
from src.config.ranges import refuse_outside
from src.data.options import DatasetArgs, check_keys

SHOWN = 20  # actions of a tool that are printed


def run_check(args: DatasetArgs) -> int:
    """Run the gate and print what it found; errors are all printed, then told by the exit code."""
    from src.data.pictures import write_pictures
    from src.data.prepare import prepare
    from src.data.report import describe, list_findings, read_summary, write_failure
    from src.data.types import DataError

    begun = time.perf_counter()
    root = Path(args.outputs)
    try:
        done = prepare(args.data, root)
    except DataError as error:
        print("\n".join(list_findings(error.findings)))
        print(f"\nreport: {write_failure(error.findings, args.data.name, root / 'datasets')}")
        raise
    seconds = time.perf_counter() - begun
    print("\n".join(describe(read_summary(done.folder))))
    print("\n".join(["", *list_findings(done.findings)]))
    files = write_pictures(done.folder) if args.pictures else []
    print(f"\nreport: {done.folder / 'check.md'}" + "".join(f", {file.name}" for file in files))
    print(f"checked in {seconds:.1f} s")
    return 0


def run_fingerprint(args: DatasetArgs) -> int:
    """Print the fingerprint of the prepared dataset."""
    from src.data.layout import load_index
    from src.data.prepare import prepare

    done = prepare(args.data, Path(args.outputs))
    print(f"{done.ref.fingerprint}  {done.ref.name}")
    for split, value in done.ref.split_fingerprints.items():
        print(f"{value}  {split}")
    print(f"{load_index(done.folder)['notes']['label_fingerprint']}  labels")
    return 0


def run_tool(args: DatasetArgs) -> int:
    """Run a tool that writes a new folder."""
    from src.data.tool_plans import Options
    from src.data.tools import run_tool as work

    strengths = tuple((key, getattr(args, key)) for key in ("noise", "blur", "contrast", "crop"))
    options = Options(
        args.out, args.to, args.dry_run, args.link, args.near, args.threshold, args.side, args.copies, strengths
    )
    manifest = work(args.command, args.data, options, Path(args.outputs))
    for action in manifest["actions"][:SHOWN]:
        print(f"{action['action']:<7} {action['image']}: {action['detail']}")
    _print_rest(len(manifest["actions"]))
    for image in manifest["left_out"]:
        print(f"left out {image}")
    if args.dry_run:
        print(f"dry run: {len(manifest['actions'])} actions; nothing was written")
        return 0
    sizes = ", ".join(f"{split} {count}" for split, count in manifest["images"].items())
    print(f"wrote {args.out} ({args.to}: {sizes})\nfingerprint {manifest['fingerprint']}")
    return 0


def _print_rest(count: int) -> None:
    if count > SHOWN:
        print(f"… and {count - SHOWN} more, all in manifest.json")


def run_folds(args: DatasetArgs) -> int:
    """Write the folds of a cross-validation."""
    from src.data.folds import folder_of
    from src.data.tool_plans import Options
    from src.data.tools import write_folds

    options = Options(args.out, args.to, args.dry_run, args.link)
    for fold, manifest in enumerate(write_folds(args.data, options, args.folds, Path(args.outputs))):
        sizes = ", ".join(f"{split} {count}" for split, count in manifest.get("images", {}).items() if count)
        print(f"{'dry run' if args.dry_run else 'wrote'} {folder_of(Path(str(args.out)), fold)} {sizes}".rstrip())
    return 0


def run_download(args: DatasetArgs) -> int:
    """Download what was asked for; nothing else ever downloads from these places."""
    from src.data.kaggle import download_kaggle
    from src.data.openimages import download_openimages
    from src.data.writers import check_target

    if args.origin not in ("kaggle", "openimages"):
        raise UserError("from is not known", value=args.origin, remedy="from=kaggle or from=openimages")
    if not args.out:
        raise UserError("out is not set", remedy="out=NEW_FOLDER")
    refuse_outside({"max_gb": (args.max_gb, 0.001, 10_000), "limit": (args.limit, 1, 1_000_000)})
    out = Path(args.out).expanduser().absolute()
    check_target(out, "yolo")
    if args.origin == "kaggle":
        count = download_kaggle(args.name or "", out, args.max_gb)
        print(f"{count} files in {args.out}; next: python -m src.data check data=…")
        return 0
    count = download_openimages(args.classes, args.split, args.limit, out)
    print(f"{count} images in {args.out}; next: python -m src.data check data=coco data.path={args.out}")
    return 0


def run_frames(args: DatasetArgs) -> int:
    """Take frames out of a video."""
    from src.data.frames import extract_frames

    manifest = extract_frames(args.video, args.out, every=args.every, every_s=args.every_s, dry_run=args.dry_run)
    done = "would be written to" if args.dry_run else "written to"
    print(f"{len(manifest['frames'])} frames {done} {args.out}")
    return 0


def run_track(args: DatasetArgs) -> int:
    """Check a dataset, then put its folder under DVC."""
    from src.data.dvc import Remote, track
    from src.data.prepare import prepare

    if not args.data.path:
        raise UserError(
            "track needs data.path, the dataset to put under DVC", remedy="data=yolo data.path=DIR/data.yaml"
        )
    remote = Remote(args.remote, args.endpoint, args.region, args.ssl) if args.remote else None
    if remote is not None:
        remote.check()
    elif args.endpoint or args.region or args.ssl is not None:
        raise UserError("endpoint, region and ssl are words of a remote", remedy="remote=s3://BUCKET/PATH")
    path = Path(args.data.path).expanduser().absolute()
    folder = path.parent if path.is_file() else path
    ref = prepare(args.data, Path(args.outputs)).ref
    if args.dry_run:
        print(f"dry run: dvc add {folder}" + (f"; dvc push to {args.remote}" if args.remote else ""))
        return 0
    record: dict[str, Any] = track(folder, ref.fingerprint, remote)
    print("\n".join(f"{key:<12} {value}" for key, value in record.items()))
    return 0


def run_key(args: DatasetArgs) -> int:
    """Print a new key, as the environment takes it."""
    from src.common.encryption import new_key

    print(new_key())
    return 0


def run_encrypt(args: DatasetArgs) -> int:
    """Copy a folder with its images encrypted."""
    from src.common.encryption import encrypt_folder

    if not args.source or not args.out:
        raise UserError(
            "encrypt needs a folder and a new one", remedy="python -m src.data encrypt source=FOLDER out=NEW"
        )
    print(f"{encrypt_folder(Path(args.source), Path(args.out))} images encrypted in {args.out}")
    return 0


COMMANDS: dict[str, Callable[[DatasetArgs], int]] = {
    "check": run_check,
    "fingerprint": run_fingerprint,
    **dict.fromkeys(("convert", "split", "dedupe", "balance", "augment", "resize", "stretch"), run_tool),
    "folds": run_folds,
    "download": run_download,
    "frames": run_frames,
    "track": run_track,
    "key": run_key,
    "encrypt": run_encrypt,
}


def run(args: DatasetArgs) -> int:
    """Run the command that was asked for."""
    if not args.command:
        raise UserError("no command is given", remedy=f"python -m src.data {'|'.join(COMMANDS)} data=…")
    if args.command not in COMMANDS:
        raise unknown(args.command)
    check_keys(args)
    return COMMANDS[args.command](args)


def unknown(word: str) -> UserError:
    """What is said to a command that is none."""
    return UserError("command is not known", value=word, remedy=f"one of: {', '.join(COMMANDS)}")


def main() -> None:
    """Compose the arguments with Hydra and exit with the contract's code."""
    # The command is a word, everything else is Hydra's: `check data=yolo` becomes `command=check data=yolo`.
    words = [f"command={word}" if word in COMMANDS else word for word in sys.argv[1:]]
    words = [f"origin={word.removeprefix('from=')}" if word.startswith("from=") else word for word in words]
    if not words or (not words[0].startswith("-") and "=" not in words[0]):
        if words:
            print(f"error: {unknown(words[0])}", file=sys.stderr)
        else:
            print(__doc__.strip())
        sys.exit(EXIT_USAGE)
    sys.argv[1:] = words
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # file names needn't be Unicode
    application(run, "data", DatasetArgs, {"data": "digits"})


if __name__ == "__main__":
    main()
