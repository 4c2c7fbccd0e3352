"""What libraries say while they train stands in the training's log, and nowhere on the terminal."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from pathlib import Path

import pytest

from src.models.training_log import training_log
from tests.configurations import composed


def spoken(name: str) -> logging.Logger:
    """A library's logger with a handler of its own, which holds the terminal."""
    logger = logging.getLogger(name)
    logger.handlers[:] = [logging.StreamHandler(sys.stderr)]
    logger.propagate = False
    return logger


def test_logs_warnings_and_prints_go_to_the_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    library, below, show = spoken("torchao"), spoken("torchao.deep.down"), warnings.showwarning
    handlers = library.handlers[:], below.handlers[:]
    own = logging.getLogger("src.models.somewhere")
    own.handlers[:] = [logging.StreamHandler(sys.stdout)]
    file = tmp_path / "deep" / "training.log"
    with training_log(file, also="chatty"):
        library.warning("W1128 deprecated")
        below.warning("from below")
        logging.getLogger("chatty").info("epoch 1")
        warnings.warn("no complete tensor", UserWarning, stacklevel=1)
        print("a progress bar")
        print("another", file=sys.stderr)
        own.warning("a line of ours")
        late = spoken("torchao.late")
    own.handlers[:] = []
    text = file.read_text()
    for said in ("W1128 deprecated", "from below", "epoch 1", "no complete tensor", "a progress bar", "another"):
        assert said in text
    assert capfd.readouterr() == ("a line of ours\n", "")
    assert (library.handlers, below.handlers) == handlers
    late.warning("after the training")
    assert "after the training" in capfd.readouterr().err, "what was made meanwhile isn't left with a closed file"
    assert warnings.showwarning is show


def test_what_a_library_sets_up_when_it_is_imported_meanwhile_stays(tmp_path: Path) -> None:
    """Torch quietens its loggers then: set back, they told at the end of a sweep what it had compiled."""
    library = logging.getLogger("torchao")
    library.handlers[:], library.propagate = [], True
    library.setLevel(logging.NOTSET)
    with training_log(tmp_path / "training.log"):
        own = logging.StreamHandler()
        library.addHandler(own)
        library.setLevel(logging.WARNING)
    assert (library.handlers, library.level, library.propagate) == ([own], logging.WARNING, False)
    library.handlers[:] = []


def test_where_nothing_was_said_there_is_no_file(tmp_path: Path) -> None:
    with training_log(tmp_path / "training.log"):
        pass
    assert not list(tmp_path.iterdir())


def test_an_earlier_attempt_keeps_its_lines_and_an_error_passes(tmp_path: Path) -> None:
    file = tmp_path / "training.log"
    for number in (1, 2):
        with contextlib.suppress(ValueError), training_log(file):
            print(number)
            raise ValueError
    assert file.read_text() == "1\n2\n"


@pytest.mark.parametrize("words", [(), ("sweeps=imgsz_lr_seed",)])
def test_the_lines_of_a_sweep_have_no_prefix(words: tuple[str, ...]) -> None:
    hydra = composed(*words, hydra=True).hydra
    assert hydra.hydra_logging.formatters.simple.format == "%(message)s" == hydra.job_logging.formatters.simple.format
