"""Labels as tensors and JSON, for the task file; exact both ways."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.data import Instance, Labels

_MAX_BYTES = 4 * 200_000_000  # of one unpacked array: float32 at the pixel limit of images


def encode_labels(labels: Labels) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Arrays as compressed bytes by name, and the rest as a JSON-able mapping that says their shapes."""
    arrays: dict[str, NDArray[np.generic]] = {}
    if labels.label_map is not None:
        arrays["label_map"] = labels.label_map
    arrays |= {f"mask/{number}": np.packbits(mask, axis=1) for number, mask in labels.masks.items()}
    arrays |= {f"dense/{name}": values for name, values in labels.dense.items()}
    arrays |= {f"instances/{number}": np.concatenate([np.packbits(one.patch) for one in objects]) for number, objects in labels.instances.items()}
    tensors = {name: _packed(array) for name, array in arrays.items()}
    facts = {
        "size": list(labels.size),
        "arrays": {name: [str(array.dtype), list(array.shape)] for name, array in arrays.items()},
        "instances": {
            str(n): [[*map(int, one.box), None if one.score is None else float(one.score)] for one in objects] for n, objects in labels.instances.items()
        },
        "boxes": {str(n): boxes.tolist() for n, boxes in labels.boxes.items()},
        "points": {str(n): [part.tolist() for part in parts] for n, parts in labels.points.items()},
        "scribbles": {str(n): [line.tolist() for line in lines] for n, lines in labels.scribbles.items()},
        "tags": {str(n): value for n, value in labels.tags.items()},
        "keypoints": {name: None if point is None else list(point) for name, point in labels.keypoints.items()},
        "label": labels.label,
        "unlabelled": labels.unlabelled,
    }
    return tensors, facts


def decode_labels(tensors: dict[str, Tensor], facts: dict[str, Any]) -> Labels:
    """The inverse of `encode_labels`. Raises ValueError or KeyError for what does not fit together."""
    arrays = {name: _unpacked(tensors[name], dtype, tuple(shape)) for name, (dtype, shape) in facts["arrays"].items()}
    height, width = facts["size"]
    masks = {int(name[5:]): np.unpackbits(array, axis=1)[:, :width].astype(bool) for name, array in arrays.items() if name.startswith("mask/")}
    return Labels(
        size=(height, width),
        label_map=arrays.get("label_map"),
        masks=masks,
        instances={int(n): _objects(arrays[f"instances/{n}"], listed) for n, listed in facts.get("instances", {}).items()},
        boxes={int(n): np.array(boxes, np.float64).reshape(-1, 4) for n, boxes in facts["boxes"].items()},
        points={int(n): (_pairs(positive), _pairs(negative)) for n, (positive, negative) in facts["points"].items()},
        scribbles={int(n): [_pairs(line) for line in lines] for n, lines in facts["scribbles"].items()},
        tags={int(n): bool(value) for n, value in facts["tags"].items()},
        keypoints={name: None if point is None else (point[0], point[1]) for name, point in facts["keypoints"].items()},
        dense={name[6:]: array for name, array in arrays.items() if name.startswith("dense/")},
        label=facts["label"],
        unlabelled=facts["unlabelled"],
    )


def _objects(bits: NDArray[np.uint8], listed: list[list[Any]]) -> list[Instance]:
    """Objects whose pixels are bits, one after the other, each of them [x0, y0, x1, y1, score]."""
    found, start = [], 0
    for x0, y0, x1, y1, score in listed:
        pixels = (y1 - y0) * (x1 - x0)
        end = start + (pixels + 7) // 8
        found.append(Instance(np.unpackbits(bits[start:end], count=pixels).astype(bool).reshape(y1 - y0, x1 - x0), x0, y0, score))
        start = end
    return found


def _pairs(values: list[list[float]]) -> NDArray[np.float64]:
    return np.array(values, np.float64).reshape(-1, 2)


def _packed(array: NDArray[np.generic]) -> Tensor:
    return torch.frombuffer(bytearray(zlib.compress(np.ascontiguousarray(array).tobytes(), 6)), dtype=torch.uint8)


def _unpacked(tensor: Tensor, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    kind = np.dtype(dtype)
    expected = int(np.prod(shape)) * kind.itemsize
    if kind.hasobject or not 0 <= expected <= _MAX_BYTES:
        raise ValueError(f"an array of {dtype} {shape} is not read")
    content = zlib.decompressobj().decompress(tensor.numpy().tobytes(), expected + 1)
    if len(content) != expected:
        raise ValueError(f"an array of {dtype} {shape} has {len(content)} bytes, not {expected}")
    return np.frombuffer(content, kind).reshape(shape)
