"""Where three patches of a query look in the support when patches, regions or whole images are matched, and what comes of it.

    python benchmarks/matching_pictures.py

The patches are chosen by rule: the one with the most of the target, one nearest to half of that, one with the least. Writes
bench/matching/pictures/NAME.png (ignored), and into docs/images those whose licence allows it: `subjects` and `nuclei`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import pooling
from common import BENCH, DOCS, need_shared
from likewise.data.images import read_image
from likewise.methods.registry import method_class
from likewise.task.learning import Place, open_provider
from matching import FORMS, OUT, Bench
from pooling import Cut, Picture
from sheets import sheet
from target_families import Family, families

SHOWN = ("patch", "16 regions", "image")  # a row each
STORIES = {  # family: examples, query; other pictures of the same kind of thing
    "soft": (("corgi_1", "corgi_3", "retriever_2"), "corgi_2"),
    "density": (("fluo_02", "fluo_05", "fluo_07"), "fluo_03"),
    "depth": ((), ""),
}
ALLOWED = {"soft": "subjects", "density": "nuclei"}
COLOURS = np.array([(255, 80, 60), (255, 210, 0), (70, 190, 255)])
Pixels = NDArray[np.uint8]


def marks(query: Picture) -> list[int]:
    """Three patches: with the most, about half of it, and the least of the first component; of those alike the one nearest to the middle."""
    values = torch.where(query.weight > 0, query.values[:, 0], query.values[:, 0].mean())
    low, high = values.min(), values.max()
    height, width = query.grid
    rows, columns = torch.arange(height * width) // width, torch.arange(height * width) % width
    away = ((rows - height / 2) ** 2 + (columns - width / 2) ** 2).sqrt()
    found = []
    for level in (high, (low + high) / 2, low):
        off = (values - level).abs()
        alike = off <= off.min() + 0.02 * (high - low)
        found.append(int(torch.where(alike, away, torch.inf).argmin()))
    return found


def looks(own: Cut, keys: Sequence[Cut], patch: int, temperature: float) -> list[Tensor]:
    """How much a patch of a query reads of every patch of every example: a unit's share is spread over its patches."""
    tokens, weight = torch.cat([part.tokens for part in keys]), torch.cat([part.weight for part in keys])
    unit = int(own.unit[patch])
    share = pooling.read(own.tokens[unit : unit + 1] @ tokens.T, torch.eye(len(tokens)), weight, temperature)[0]
    found = []
    for part, each in zip(keys, share.split([len(part.tokens) for part in keys]), strict=True):
        size = torch.bincount(part.unit, minlength=len(part.tokens))
        found.append((each / size)[part.unit])
    return found


def attended(pixels: Pixels, look: Tensor, grid: tuple[int, int], strongest: float, colour: NDArray[np.int64]) -> Pixels:
    """An example in dark grey, lit in a colour where it is read: by the share to the power of 0.4, so that weak looks are seen too."""
    lit = cv2.resize(((look / strongest) ** 0.4).reshape(grid).numpy(), pixels.shape[1::-1], interpolation=cv2.INTER_NEAREST)[:, :, None]
    grey = np.repeat(pixels.mean(axis=2, keepdims=True) * 0.45, 3, axis=2)
    return np.asarray(grey * (1 - 0.8 * lit) + colour * (0.8 * lit), np.uint8)


def marked(pixels: Pixels, patches: Sequence[int], grid: tuple[int, int]) -> Pixels:
    """A query with its three patches framed."""
    drawn, (height, width) = pixels.copy(), grid
    for patch, colour in zip(patches, COLOURS, strict=True):
        row, column = divmod(patch, width)
        corners = [(round(c * pixels.shape[1] / width), round(r * pixels.shape[0] / height)) for r, c in ((row, column), (row + 1, column + 1))]
        cv2.rectangle(drawn, *corners, tuple(int(c) for c in colour), max(2, pixels.shape[0] // 100))
    return drawn


def story(bench: Bench, family: Family, support: Sequence[str], query: str) -> Image.Image:
    """The sheet: query, truth and examples above; below a row a form, with the answer and three looks at every example."""
    given = bench.support(support)
    pictures, asked = bench.pictures(given), bench.pictures(bench.support([query]))[0]
    images = [read_image(family.example(name).image) for name in support]
    pixels, patches = read_image(family.example(query).image), marks(asked)
    truth = next(iter(family.example(query).dense.values()))
    rows = [[marked(pixels, patches, asked.grid), coloured(truth, truth), *images]]
    for form in SHOWN:
        units = FORMS[form]
        temperature = pooling.best_temperature(pictures, *units)
        values = bench.prediction(given, query, pooling.answer(asked, pictures, *units, temperature)).dense
        own, keys = pooling.cut(asked, units[0]), [pooling.cut(picture, units[1]) for picture in pictures]
        row = [coloured(next(iter(values.values())), truth)]
        for patch, colour in zip(patches, COLOURS, strict=True):
            found = looks(own, keys, patch, temperature)
            strongest = max(float(look.max()) for look in found)
            row += [attended(image, look, picture.grid, strongest, colour) for image, look, picture in zip(images, found, pictures, strict=True)]
        rows.append(row)
    return sheet(rows)


def coloured(values: NDArray[np.floating], truth: NDArray[np.floating]) -> Pixels:
    """A map (H, W) in the colours of the truth: from its 2nd to its 98th percentile, what is not known black."""
    low, high = np.nanpercentile(truth, [2, 98])
    unit = np.clip((np.nan_to_num(values, nan=low) - low) / (high - low), 0, 1)
    drawn = cv2.applyColorMap((unit * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)[:, :, ::-1]
    return np.asarray(np.where(np.isfinite(values)[:, :, None], drawn, 0), np.uint8)


def main() -> None:
    """Write the sheets."""
    need_shared()
    os.environ.setdefault("LIKEWISE_FEATURES", str(BENCH / "features"))
    warnings.simplefilter("ignore")
    provider, found = open_provider("auto", Place(), method_class("nearest")(), None), families()
    (OUT / "pictures").mkdir(parents=True, exist_ok=True)
    (DOCS / "images").mkdir(parents=True, exist_ok=True)
    with torch.inference_mode():
        for name, (support, query) in STORIES.items():
            family = found[name]
            drawn = family.draws["2"][0]
            image = story(Bench(family, provider), family, support or drawn[0], query or drawn[1][0])
            image.save(OUT / "pictures" / f"{name}.png")
            if name in ALLOWED:
                image.save(DOCS / "images" / f"matching_{ALLOWED[name]}.jpg", quality=85)


if __name__ == "__main__":
    main()
