"""XML as annotation tools write it: elements, attributes and text, and nothing that reaches out of the file.

Document types are refused, and with them entities, external ones and those that unfold to gigabytes; so are files nested without end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from likewise.errors import InputError
from likewise.formats.files import read_bytes

MAX_XML = 1 << 29  # bytes
_DEEPEST = 64
_MOST = 5_000_000  # elements, of some hundred bytes each


@dataclass
class Element:
    """An element: its name, attributes, the line it begins in, the parts of the text before its first child, and children."""

    tag: str
    attributes: dict[str, str]
    line: int
    parts: list[str] = field(default_factory=list)
    children: list[Element] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text before its first child."""
        return "".join(self.parts)

    def all(self, tag: str) -> Iterator[Element]:
        """The children of a name."""
        return (child for child in self.children if child.tag == tag)

    def find(self, *path: str) -> Element | None:
        """The first element down a path of names, None where there is none."""
        found: Element | None = self
        for tag in path:
            found = next(found.all(tag), None) if found is not None else None
        return found

    def say(self, *path: str) -> str:
        """The text of the first element down a path of names, without spaces around it; "" where there is none."""
        found = self.find(*path)
        return "" if found is None else found.text.strip()


def read_xml(path: Path) -> Element:
    """The root element of a file; InputError for what is not XML, has a document type, or is nested too deeply."""
    content = read_bytes(path, MAX_XML)
    parser = expat.ParserCreate()
    root = Element("", {}, 0)
    open_elements, left = [root], [_MOST]

    def begin(tag: str, attributes: dict[str, str]) -> None:
        if len(open_elements) > _DEEPEST:
            raise InputError("it is nested too deeply", where=str(path), remedy="Check that it is the right file")
        left[0] -= 1
        if left[0] < 0:
            raise InputError(f"it has more than {_MOST:,} elements", where=str(path), remedy="Split it into smaller files")
        element = Element(tag, attributes, parser.CurrentLineNumber)
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def end(tag: str) -> None:
        del tag
        open_elements.pop()

    def text(data: str) -> None:
        if not open_elements[-1].children:
            open_elements[-1].parts.append(data)

    def refuse(*_: object) -> None:
        raise InputError("it has a document type, by which a file can reach others", where=str(path), remedy="Take the DOCTYPE out")

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = begin, end, text
    parser.StartDoctypeDeclHandler = refuse
    parser.buffer_text = True
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # LookupError for encodings that do not exist
        if isinstance(error, InputError):
            raise
        raise InputError(f"it is not valid XML ({error})", where=str(path), remedy="Export it again") from error
    return root.children[0]


def xml_bytes(text: str, where: str) -> bytes:
    """XML as it is written. InputError for a name with bytes that are no text, which XML has no way to write."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        name = os.fsencode(where).decode(errors="backslashreplace")
        raise InputError("its name has bytes that are no UTF-8, which XML cannot hold", where=name, remedy="Rename it, or write another format") from error


def tag(name: str, attributes: dict[str, object] | None = None, inside: str | Sequence[str] | None = None) -> str:
    """An element as text: attributes and text are escaped, `inside` is a text or elements that are written already.

    >>> tag("box", {"label": "<c>"}), tag("name", inside="x < y")
    ('<box label="&lt;c&gt;"/>', '<name>x &lt; y</name>')
    """
    written = "".join(f" {key}={quoteattr(str(value))}" for key, value in (attributes or {}).items())
    if inside is None:
        return f"<{name}{written}/>"
    content = escape(inside) if isinstance(inside, str) else "\n" + "".join(f"{each}\n" for each in inside)
    return f"<{name}{written}>{content}</{name}>"
