"""Where on the earth a picture lies: the tags of a GeoTIFF, carried over to its mask as they are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from likewise.data.images import ImageSource
from likewise.errors import ImageError

FORMAT = "geotiff"
_SUFFIXES = (".tif", ".tiff")
# pixel scale, tie points, transformation, directory of keys and their numbers and texts (OGC GeoTIFF 1.1)
TAGS = (33_550, 33_922, 34_264, 34_735, 34_736, 34_737)
Tag = tuple[int, int, int, Any, bool]  # code, type, count, value, whether it is written once: as tifffile takes it


def geo_tags(image: ImageSource | None) -> list[Tag]:
    """The tags that place a picture on the earth, as tifffile writes them; none for what is no TIFF or has none.

    Raises ImageError for a TIFF that cannot be read.
    """
    if not isinstance(image, (str, os.PathLike)) or Path(image).suffix.lower() not in _SUFFIXES:
        return []
    import tifffile  # half a second at start-up otherwise

    try:
        with tifffile.TiffFile(image) as file:
            tags = file.pages.first.tags
            return [(code, int(tags[code].dtype), int(tags[code].count), tags[code].value, True) for code in TAGS if code in tags]
    except Exception as error:  # tifffile raises many kinds for damaged files
        raise ImageError(f"its tags cannot be read ({error})", where=str(image), remedy="Save it again as TIFF") from error


def advice(image: ImageSource, format: str | None) -> str | None:
    """What to know before pictures like this one are labelled in a format, in a sentence; None where nothing is lost.

    Only the tags of the file are looked at: a world file beside it (.tfw, .jgw) is not read. What cannot be read is left to whoever reads the picture.
    """
    try:
        placed = bool(geo_tags(image))
    except ImageError:
        return None
    if placed and format != FORMAT:
        return f"{image} lies on the earth by its tags, which labels in this format do not keep: write --format {FORMAT} to keep them"
    if not placed and format == FORMAT:
        return f"{image} has no georeference in its tags (a world file beside it is not read), so its mask has none"
    return None
