"""Text in encodings that can't be told for sure is refused with its name; one whose mark says it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.common.errors import UserError
from src.data.check import alike
from src.data.label_studio import read_label_studio
from src.data.labels import parse_labels
from src.data.text_files import NotTextError, decode, remedy, text_of
from src.data.voc import read_voc
from src.data.xml_files import parse_xml
from src.data.yolo_yaml import load_yaml
from tests.data.builders import picture
from tests.data.test_tool_exports import label_studio, rectangle, task

ROWS = "0 0.5 0.5 0.2 0.2\n1 0.25 0.25 0.2 0.2\n"
YAML = "names: [Äpfel, 猫, dog]\ntrain: images/train\n"
WIDE = {"utf-16-le": "UTF-16LE", "utf-16-be": "UTF-16BE", "utf-32-le": "UTF-32LE", "utf-32-be": "UTF-32BE"}


@pytest.mark.parametrize("encoding", WIDE)
def test_labels_and_data_yaml_without_a_mark_are_refused_with_their_encoding(encoding: str, tmp_path: Path) -> None:
    found = parse_labels(ROWS.encode(encoding))
    assert len(found.classes) == 0
    assert len(found.problems) == 1, "once a file, not once a row"
    assert f"{WIDE[encoding]} text without a byte-order mark" in found.problems[0].message
    assert f"iconv -f {WIDE[encoding]} -t UTF-8" in found.problems[0].message
    file = tmp_path / "data.yaml"
    file.write_bytes(YAML.encode(encoding))
    with pytest.raises(UserError, match=WIDE[encoding]) as told:
        load_yaml(file)
    assert f"iconv -f {WIDE[encoding]}" in told.value.remedy


def test_a_mark_says_the_encoding(tmp_path: Path) -> None:
    assert parse_labels(ROWS.encode("utf-16")).classes.tolist() == [0, 1]
    assert decode(YAML.encode("utf-16"), "f") == YAML == decode(YAML.encode("utf-8-sig"), "f")
    with pytest.raises(UserError, match="UTF-32 text, not UTF-8"):
        decode(YAML.encode("utf-32"), "f")


def test_what_is_no_text_is_called_so() -> None:
    data = bytes(range(256)) * 20
    with pytest.raises(NotTextError, match="not UTF-8 text"):
        text_of(data)
    assert "no text" in remedy(data)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_xml_tells_its_encoding_by_its_first_bytes(encoding: str) -> None:
    for head in ("", "<?xml version='1.0' encoding='utf-16'?>"):
        name = parse_xml(f"{head}<annotation><object><name>Ä</name></object></annotation>".encode(encoding)).find(
            ".//name"
        )
        assert name is not None
        assert name.text == "Ä"


def test_xml_that_declares_another_encoding_than_it_has_is_refused_with_it(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 1)
    text = "<?xml version='1.0' encoding='utf-8'?><annotation><object><name>cat</name></object></annotation>"
    (tmp_path / "a.xml").write_bytes(text.encode("utf-16-le"))
    with pytest.raises(UserError, match="UTF-16LE text without a byte-order mark"):
        read_voc(tmp_path)


def test_the_order_of_classes_is_no_guess(tmp_path: Path) -> None:
    """Bytes that were replaced made a name that no label has, and the order was lost without a word."""
    folder = label_studio(tmp_path, [task(1, rectangle("Äpfel", 0, 0, 10, 10))])
    (folder / "label_config.xml").write_bytes("<View><Label value='Äpfel'/></View>".encode("cp1252"))
    with pytest.raises(UserError, match="not UTF-8 text"):
        read_label_studio(folder)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["Car", "car", "dog"], ["0 'Car' and 1 'car'"]),
        (["traffic light", "Traffic_Light", "traffic-light"], ["0 'traffic light' and 1 'Traffic_Light' and 2"]),
        (["Straße", "STRASSE", "A", "a"], ["0 'Straße' and 1 'STRASSE'", "2 'A' and 3 'a'"]),
        (["car", "cart", "0", "00"], []),
    ],
)
def test_classes_that_differ_by_case_alone_are_told(names: list[str], said: list[str]) -> None:
    found = alike(names)
    assert len(found) == len(said)
    assert all(words in one.message and one.level == "warning" for words, one in zip(said, found, strict=True))
