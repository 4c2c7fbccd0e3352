"""Two machines without a common file system share a sweep: a folder each, a database for the study, S3 for the trials.

One is killed, the S3 server does not answer for a while, and still every trial is there for the machine that decides.
Trainings only wait (see `toy`).
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import services
from src.common.errors import UserError
from tests.conftest import run_command
from tests.pipeline.test_scale import Sweep
from tests.services import free_port

pytestmark = pytest.mark.slow
AWAY_S = 8.0


class Bucket:
    """moto's server with a bucket; its clients find it and its keys in the environment."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("boto3", reason="make setup EXTRAS=s3")
        port, self.keys = free_port(), services.new_keys()
        endpoint = f"http://127.0.0.1:{port}"
        try:
            self.server = services.object_store(folder, port)
        except UserError as error:
            pytest.skip(str(error))
        services.create_bucket(endpoint, self.keys)
        for name, value in {**self.keys, "AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": "us-east-1"}.items():
            patch.setenv(name, value)

    def be_away(self, seconds: float) -> None:
        """Take no part in anything for a while, as behind a broken network."""
        pid = self.server._process.pid
        os.killpg(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.killpg(pid, signal.SIGCONT)


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    made = Bucket(tmp_path, monkeypatch)
    try:
        yield made
    finally:
        made.server.stop()


def test_two_machines_a_kill_and_a_store_that_is_away(tmp_path: Path, bucket: Bucket) -> None:
    words = ["store=s3://detsweep/team", f"study.storage=sqlite:///{tmp_path}/study.db", "tracking=none"]
    homes = [tmp_path / "one", tmp_path / "other"]
    for home in homes:
        home.mkdir()
    # Long enough that on a busy machine neither is through before the other has begun, or has come back.
    one, other = (Sweep(home, *words, epoch_s=s) for home, s in zip(homes, (1.0, 2.0), strict=True))
    one.wait_for(2)
    other.wait_for(2)
    one.process.kill()
    bucket.be_away(AWAY_S)
    assert one.wait() == -signal.SIGKILL
    again = Sweep(homes[0], *words, epoch_s=0.1)
    assert (again.wait(), other.wait()) == (0, 0), again.printed() + other.printed()
    trained = Counter(note["trial"] for sweep in (again, other) for note in sweep.notes())
    assert set(trained) == {f"{i:04d}" for i in range(20)}
    assert sum(trained.values()) <= 22, "a kill costs the two replicates under way at most"
    assert len(again.notes()) > 2, "whoever was killed goes on"
    decider = _decider(again, other)
    assert [r.trial for r in decider.records()] == list(range(20))
    assert {r.state for r in decider.records()} == {"complete"}
    kept = [p for p in tmp_path.rglob("*") if p.is_file() and _holds(p, *bucket.keys.values())]
    assert not kept, "the keys are kept nowhere"


def _decider(*sweeps: Sweep) -> Sweep:
    (left,) = [sweep for sweep in sweeps if "another machine decides" in sweep.printed()]
    return next(sweep for sweep in sweeps if sweep is not left)


def _holds(path: Path, *secrets: str) -> bool:
    content = path.read_bytes()
    return any(secret.encode() in content for secret in secrets)


@pytest.mark.parametrize("store", ["detsweep/team", "s3://KEY:topsecret@detsweep/team", "s3://no-such-bucket/team"])
def test_a_wrong_store_is_told_before_anything_is_trained(store: str, tmp_path: Path, bucket: Bucket) -> None:
    places = [f"outputs={tmp_path}/o", f"reports={tmp_path}/r", f"study.storage=sqlite:///{tmp_path}/study.db"]
    done = run_command("tests.pipeline.toy", "-m", "lr=0.001,0.002", "tracking=none", f"store={store}", *places)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "store" in done.stderr + done.stdout
    assert "topsecret" not in done.stderr + done.stdout
    assert not (tmp_path / "o" / "sweeps").exists()
