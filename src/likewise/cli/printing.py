"""Words for a terminal: what comes from files and people is shown and never obeyed."""

from __future__ import annotations

import re
import sys

# control characters, halves of pairs, breaks of lines and paragraphs, and marks that turn the direction of writing
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""A text with everything a terminal would obey written out.

    >>> printable("a\x1b[31m red")
    'a\\x1b[31m red'
    """
    return _UNSHOWN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def say(text: object, *, aside: bool = False) -> None:
    """Print a line on stdout, or as words on stderr; a text of several lines keeps its own breaks."""
    print("\n".join(map(printable, str(text).split("\n"))), file=sys.stderr if aside else sys.stdout)
