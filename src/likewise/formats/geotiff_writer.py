"""Writing GeoTIFF: a label map as TIFF that lies on the earth where its image does."""

from __future__ import annotations

import io

import numpy as np

from likewise.formats.encoder import Encoder, write_classes
from likewise.formats.georeference import geo_tags
from likewise.formats.sheet import Sheet


def encode(stem: str, sheet: Sheet) -> dict[str, bytes]:
    """File name -> content of a label map, deflated, of 8 bits (255 ignored) or 16 (65535), with the georeference of the image if it has one."""
    import tifffile  # half a second at start-up otherwise

    if sheet.label_map is None:
        return {}
    labels = sheet.index_map()
    values = labels if labels.dtype == np.uint8 else np.where(labels < 0, 65_535, labels).astype(np.uint16)
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, photometric="minisblack", compression="adobe_deflate", extratags=geo_tags(sheet.image), metadata=None)
    return {f"{stem}.tif": stream.getvalue()}


ENCODER = Encoder(
    holds=frozenset({"masks", "holes", "ignored pixels", "unknown pixels"}),
    planned=lambda stem: [f"{stem}.tif"],
    encode=encode,
    finish=write_classes,
    ending=".tif",
    single=encode,
    labels="masks/",
)
