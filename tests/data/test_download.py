"""Downloads from Kaggle and Open Images, against a server on loopback: keys, redirects, limits, and what is written."""

from __future__ import annotations

import base64
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.data import kaggle, load_split, openimages, resolve
from src.data.__main__ import run
from src.data.fetch import fetch, opened
from src.data.options import DatasetArgs
from tests.data.builders import config, picture

CANARY = "canary-7d1f-kaggle"
Answer = tuple[int, dict[str, str], bytes]


class Server:
    """Answers paths, and notes the header with the key."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.seen: list[tuple[str, str | None]] = []
        own = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                own.seen.append((self.path, self.headers.get("Authorization")))
                code, headers, content = own.answers.get(self.path, (404, {}, b""))
                self.send_response(code)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *words: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def servers() -> Iterator[Callable[[], Server]]:
    made: list[Server] = []

    def make() -> Server:
        made.append(Server())
        return made[-1]

    yield make
    for server in made:
        server.close()


def archive(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def shop(servers: Callable[[], Server], monkeypatch: pytest.MonkeyPatch) -> tuple[Server, Server]:
    """Kaggle, and the store that it redirects to."""
    front, store = servers(), servers()
    monkeypatch.setattr(kaggle, "API", front.url)
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    monkeypatch.setenv("KAGGLE_KEY", CANARY)
    front.answers["/datasets/download/me/shop"] = (302, {"Location": f"{store.url}/x.zip"}, b"")
    store.answers["/x.zip"] = (200, {}, archive(**{"a/data.yaml": b"names: [cat]", "a/b.txt": b"1"}))
    return front, store


def download(out: Path, **words: Any) -> int:
    return run(DatasetArgs(command="download", out=str(out), **words))


def test_kaggle_gets_the_key_and_the_store_that_it_redirects_to_does_not(
    shop: tuple[Server, Server], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    front, store = shop
    assert download(tmp_path / "new", origin="kaggle", name="me/shop") == 0
    assert front.seen[0][1] == "Basic " + base64.b64encode(f"me:{CANARY}".encode()).decode()
    assert store.seen == [("/x.zip", None)]
    assert (tmp_path / "new" / "a" / "data.yaml").read_bytes() == b"names: [cat]"
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["a"]
    assert CANARY not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ((401, {}, b""), "the key is refused"),
        ((200, {}, b"no archive"), "can't be unpacked"),
        ((200, {}, archive(**{"../out.txt": b"x"})), "leads out"),
        ((200, {"Content-Length": "999999"}, b"PK"), "broke off"),
        ((200, {}, archive(bomb=b"0" * (3 << 20))), "unpacks to more"),
    ],
)
def test_what_kaggle_may_answer_instead_leaves_nothing(
    shop: tuple[Server, Server], tmp_path: Path, change: Answer, says: str
) -> None:
    shop[1].answers["/x.zip"] = change
    with pytest.raises(UserError, match=says) as told:
        download(tmp_path / "new", origin="kaggle", name="me/shop", max_gb=0.002)
    assert CANARY not in str(told.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"origin": "kaggle", "name": "shop"}, "OWNER/DATASET|name must be"),
        ({"origin": "kaggle", "name": "me/shop", "max_gb": 0}, "max_gb"),
        ({"origin": "imagenet"}, "from is not known"),
        ({"origin": "openimages"}, "classes is not set"),
        ({"origin": "openimages", "classes": ["Dog"], "split": "val"}, "none of Open Images"),
        ({"origin": "openimages", "classes": ["Dog"], "limit": 0}, "limit"),
    ],
)
def test_words_that_make_no_sense_are_refused(words: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says):
        download(tmp_path / "new", **words)
    assert list(tmp_path.iterdir()) == []


def test_without_a_key_nothing_is_asked_for(
    shop: tuple[Server, Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGGLE_KEY")
    with pytest.raises(UserError, match="KAGGLE_KEY is not set"):
        download(tmp_path / "new", origin="kaggle", name="me/shop")
    assert shop[0].seen == []


def test_a_download_above_the_limit_stops(servers: Callable[[], Server], tmp_path: Path) -> None:
    server = servers()
    server.answers["/big"] = (200, {}, b"0" * 5000)
    with pytest.raises(UserError, match="larger than"):
        fetch(f"{server.url}/big", tmp_path / "big", most=4999)
    assert not (tmp_path / "big").exists()
    server.answers["/loop"] = (302, {"Location": "/loop"}, b"")
    with pytest.raises(UserError, match="answers 302"):
        opened(f"{server.url}/loop")
    with pytest.raises(UserError, match="can't be downloaded"):
        opened("http://127.0.0.1:9/x")


BOXES = """ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside
aa,xclick,/m/dog,1,0.25,0.5,0.5,1.0,0,0,0,0,0
aa,xclick,/m/tree,1,0,1,0,1,0,0,0,0,0
aa,xclick,/m/dog,1,0.5,1,0,0.5,0,0,1,0,0
bb,xclick,/m/cat,1,0,0.5,0,0.5,0,0,0,0,0
cc,xclick,/m/cat,1,0,0.5,0,0.5,0,0,0,0,0
"""


@pytest.fixture
def museum(servers: Callable[[], Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Open Images with three pictures."""
    server = servers()
    monkeypatch.setattr(openimages, "ANNOTATIONS", server.url)
    monkeypatch.setattr(openimages, "IMAGES", server.url)
    names = "LabelName,DisplayName\n/m/dog,Dog\n/m/cat,Cat\n/m/tree,Tree\n/m/hot,Hot dog\n"
    server.answers[f"/{openimages.CLASSES}"] = (200, {}, names.encode())
    server.answers[f"/{openimages.BOXES['validation']}"] = (200, {}, BOXES.encode())
    for number, name in enumerate(("aa", "bb", "cc")):
        path = picture(tmp_path / "museum" / f"{name}.jpg", number, (64, 48))
        server.answers[f"/validation/{name}.jpg"] = (200, {}, path.read_bytes())
    return server


def test_open_images_become_a_coco_folder_with_groups_as_regions(museum: Server, tmp_path: Path) -> None:
    out = tmp_path / "new"
    assert download(out, origin="openimages", classes=["Dog", "Cat"], limit=2) == 0
    raw = json.loads((out / "annotations" / "instances_val.json").read_text())
    assert [row["file_name"] for row in raw["images"]] == ["aa.jpg", "bb.jpg"], "two at most; no third is asked for"
    assert "/validation/cc.jpg" not in [path for path, _ in museum.seen]
    assert [a["iscrowd"] for a in raw["annotations"]] == [0, 1, 0]
    assert raw["annotations"][0]["bbox"] == [16, 24, 16, 24]
    (out / "images" / "val").rename(out / "images" / "train")
    (out / "annotations" / "instances_val.json").rename(out / "annotations" / "instances_train.json")
    for number in range(3, 8):
        name = f"more{number}.jpg"
        picture(out / "images" / "train" / name, number, (64, 48))
        raw["images"].append({"id": number + 10, "file_name": name, "width": 64, "height": 48})
    (out / "annotations" / "instances_train.json").write_text(json.dumps(raw))
    ref = resolve(config("coco", path=out), tmp_path / "o")
    assert ref.class_names == ["Dog", "Cat"]
    assert sum(len(s.classes) for split in ("train", "val", "test") for s in load_split(ref, split)) == 2


def test_a_class_that_open_images_lacks_is_told_with_its_neighbours(museum: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no boxes of this class") as told:
        download(tmp_path / "new", origin="openimages", classes=["dog"])
    assert "Dog, Hot dog" in told.value.remedy
    assert not (tmp_path / "new").exists()
