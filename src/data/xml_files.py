"""Parse the XML that labelling tools write: in any encoding that it declares, with tags in any case and namespace.

A tag that is spelt otherwise would not be found, and its object would be missing without a word.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from src.data.text_files import NotTextError, remedy, text_of

ENCODING = re.compile(rb"""\s*<\?xml[^>]*?encoding=["']([A-Za-z0-9._-]{1,40})["'][^>]*\?>""")


def parse_xml(data: bytes) -> ET.Element:
    """The root of a document; tags are lower case and without their namespace.

    Raises:
        ValueError: no XML; says why. Document types are refused: entities can expand without end.
    """
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ValueError("document types and entities are not allowed: take the <!DOCTYPE …> out")
    try:
        root = ET.fromstring(_recoded(data))
    except (ET.ParseError, ValueError, LookupError, RecursionError) as error:
        raise ValueError(f"not valid XML ({str(error)[:100]}){_hint(data)}") from None
    for node in root.iter():
        if isinstance(node.tag, str):
            node.tag = node.tag.rpartition("}")[2].lower()
    return root


def _recoded(data: bytes) -> bytes | str:
    """The text of a file that declares another encoding than UTF-8: the XML parser knows few of them."""
    declared = ENCODING.match(data)
    if declared is None or declared[1].lower() in (b"utf-8", b"utf-16"):
        # A declaration must come first; blank lines before it are a slip of templates.
        return data.lstrip() if data[:1].isspace() else data
    return data[declared.end() :].decode(declared[1].decode("ascii"))


def _hint(data: bytes) -> str:
    """A clause on the encoding, where a file is no UTF-8."""
    try:
        text_of(data)
    except NotTextError as error:
        return f"; it is {error.what}: {remedy(data)}"
    return ""
