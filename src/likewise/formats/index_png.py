"""Index PNG: a mask beside each image whose numbers are the classes.

    images/ + masks/ (+ instances/, depth/, normals/, keypoints.json, classes.json, dataset.json)      or      x.jpg next to x.png

0 is the background, 255 is ignored (65535 in 16-bit masks), classes are numbered from 1. Objects are told apart by a second PNG
that numbers them, masks/NAME.instances.png or instances/NAME.png.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from likewise.data import ClassTable, Example, Instance
from likewise.data.instance import objects_of
from likewise.errors import InputError
from likewise.formats import keypoint_files
from likewise.formats.dataset import Dataset, name_images, without_ending
from likewise.formats.dataset_json import DatasetFile, read_dataset_file
from likewise.formats.dense_files import described
from likewise.formats.maps import DENSE_SUFFIXES, MASK_SUFFIXES, looks_like_mask, read_dense, read_index_mask
from likewise.formats.name_list import KnownNames
from likewise.formats.scan import has_ending, is_image, walk
from likewise.formats.spread import plain_names, spread

NAME = "index-png"
OVERLAY = ".overlay.jpg"
INSTANCES = ".instances.png"  # NAME.instances.png numbers the objects of NAME from 1, 0 for none
Given = TypeVar("Given")
_SNIFFED = 32  # masks looked at to tell black-and-white ones from index masks


def found(folder: Path) -> str | None:
    """The layout of the folder in words, None if it is not of this format."""
    if (folder / "images").is_dir() and (folder / "masks").is_dir():
        return "images/ + masks/"
    if (folder / "images").is_dir():
        dense = [name for name in ("depth", "normals") if (folder / name).is_dir()]
        about = read_dataset_file(folder)
        parts = [f"{name}/" for name in dense or about.targets]
        parts += [about.points or keypoint_files.FILE] if about.points or (folder / keypoint_files.FILE).is_file() else []
        return "images/ + " + " + ".join(parts) if parts else None
    if not folder.is_dir():
        return None
    if _pairs(folder, set())[1]:
        return "image.jpg next to image.png"
    return "dense maps next to their images" if described(folder) else "keypoints next to their images" if _pointed(folder) else None


def _pointed(folder: Path) -> bool:
    return any(True for _ in walk(folder, lambda name: name.endswith(keypoint_files.ENDING)))


def _by_image(images: Mapping[str, str], given: Mapping[str, Given]) -> dict[str, Given]:
    """What stands beside masks by the name of its image, under which it was given with or without its ending or in the folder of its hash."""
    return {name: given[key] for name, file in images.items() for key in (file, name, spread(file), spread(name)) if key in given}


def may_hold_labels(files: Sequence[str]) -> bool:
    """Whether some file among the names (of images and JSON files) may be the mask, the dense map or the points of another."""
    if any(file.endswith(keypoint_files.ENDING) for file in files):
        return True
    masks = KnownNames(without_ending(file) for file in files if _is_png(file))
    return masks.some(files) or masks.some(without_ending(file) for file in files if not _is_png(file))


def _is_png(file: str) -> bool:
    return file.endswith((".png", ".PNG"))


def opened(path: Path) -> Dataset:
    """The data set of a folder; labels are read one image at a time."""
    if not path.is_dir():
        raise InputError("it is not a folder", where=str(path), remedy="Give the folder that holds images/ and masks/")
    layout = found(path)
    if layout is None:
        raise InputError(
            "there are no index masks", where=str(path), remedy="Put images into images/ and masks of the same names into masks/, or x.png next to x.jpg"
        )
    about = read_dataset_file(path)
    flat = not (path / "images").is_dir()
    root, masks_in = (path, path) if flat else (path / "images", path / "masks")
    named = described(masks_in) if masks_in.is_dir() else {}
    other = {file.relative_to(masks_in).as_posix() for entries in named.values() for _, _, file in entries.values()}
    images, masks = _pairs(path, other) if flat else _folders(root, masks_in, other)
    dense = {} if flat else {name: (encoding, _files_of(where)) for name, (_, encoding, where) in about.dense(path).items()}
    targets = {} if flat else {name: target for name, (target, _, _) in about.dense(path).items()}
    targets.update({target: kind for entries in named.values() for target, (kind, _, _) in entries.items()})
    apart = _apart(path, masks_in, masks, flat=flat)
    black_and_white = _is_black_and_white(about, masks_in, masks.values())
    classes = about.table() or (ClassTable({1: "class 1"}) if black_and_white else None if masks else ClassTable({}))

    points = _by_image(images, keypoint_files.described(masks_in) if masks_in.is_dir() else {}) | ({} if flat else _by_image(images, about.keypoints(path)))
    kinds = tuple(dict.fromkeys(each for entry in points.values() for each in entry))
    named = _by_image(images, named)

    def example(name: str) -> Example:
        label_map = _label_map(masks_in / masks[name], about.ignore, classes, black_and_white) if name in masks else None
        maps = {target: read_dense(files[name], encoding) for target, (encoding, files) in dense.items() if name in files}
        maps.update({target: read_dense(file, encoding) for target, (_, encoding, file) in named.get(name, {}).items()})
        return Example(
            root / images[name],
            name,
            label_map=label_map,
            instances=_instances(apart[name], label_map) if label_map is not None and name in apart else None,
            dense=maps,
            keypoints=points.get(name),
            unlabelled=about.unlabelled or "background",
        )

    labelled = {name for name in images if name in masks or name in named or points.get(name) or any(name in files for _, files in dense.values())}
    if black_and_white:
        layout += ", black-and-white masks: white is the class"
    return Dataset(NAME, path, root, images, labelled, example, layout, classes, targets, about.split, about.unlabelled, keypoints=kinds)


def _folders(root: Path, masks_in: Path, other: set[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Images by name and masks by the name of their image, of images/ and masks/."""
    images = name_images(walk(root, is_image))
    if not masks_in.is_dir():
        return images, {}
    files = sorted(file for file in walk(masks_in, has_ending(*MASK_SUFFIXES)) if file not in other and not file.endswith(INSTANCES))
    lossy = next((file for file in walk(masks_in, has_ending(".jpg", ".jpeg")) if not file.endswith(OVERLAY)), None)
    if lossy is not None:
        raise InputError("a mask cannot be a JPEG, which changes the values", where=str(masks_in / lossy), remedy="Save masks as PNG")
    names = {file: name for name, file in images.items()} | {name: name for name in images}
    masks = plain_names(files)
    orphans = sorted(file for name, file in masks.items() if name not in names)
    if orphans:
        more = ", ..." if len(orphans) > 5 else ""
        raise InputError(
            f"{len(orphans)} masks have no image of the same name: {', '.join(orphans[:5])}{more}",
            where=str(masks_in),
            remedy="Name mask and image alike (images/a.jpg, masks/a.png; with a.jpg and a.png in images/ masks/a.jpg.png)",
        )
    return images, {names[name]: file for name, file in masks.items()}


def _pairs(folder: Path, other: set[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Images by name and masks by the name of their image, of one folder: x.png or x.jpg.png is the mask of x.jpg."""
    files = {file for file in walk(folder, is_image) if file not in other and not file.endswith((OVERLAY, INSTANCES))}
    masks = {file: f"{file}.png" for file in files if f"{file}.png" in files}
    free = {file for file in files - set(masks.values()) if file.lower().endswith(".png") and file not in masks}
    by_stem = {without_ending(file): file for file in free}
    masks |= {file: by_stem[without_ending(file)] for file in files - free - set(masks) - set(masks.values()) if without_ending(file) in by_stem}
    first = min(masks.values(), default=None)
    if first is None or not looks_like_mask(folder / first):
        return name_images(files), {}
    images = name_images(files - set(masks.values()))
    return images, {name: masks[file] for name, file in images.items() if file in masks}


def _apart(path: Path, masks_in: Path, masks: Mapping[str, str], *, flat: bool) -> dict[str, Path]:
    """The files that tell objects apart, by the name of their image: beside the mask, or in instances/."""
    if not masks_in.is_dir():
        return {}
    files = {file.removesuffix(INSTANCES): masks_in / file for file in walk(masks_in, has_ending(INSTANCES))}
    found = {name: files[without_ending(mask)] for name, mask in masks.items() if without_ending(mask) in files}
    if flat or not (path / "instances").is_dir():
        return found
    folder = path / "instances"
    others = {without_ending(file): folder / file for file in walk(folder, has_ending(*MASK_SUFFIXES))}
    return {name: others[name] for name in masks if name in others} | found


def _instances(path: Path, label_map: NDArray[np.int16]) -> Mapping[int | str, Sequence[Instance]]:
    numbers = read_index_mask(path)
    if numbers.shape != label_map.shape:
        told = f"it is {numbers.shape[1]}x{numbers.shape[0]}, the mask {label_map.shape[1]}x{label_map.shape[0]}"
        raise InputError(told, where=str(path), remedy="Give both the size of the image")
    return dict(objects_of(label_map, numbers).items())


def _files_of(folder: Path) -> dict[str, Path]:
    return {without_ending(file): folder / file for file in walk(folder, has_ending(*DENSE_SUFFIXES))}


def _is_black_and_white(about: DatasetFile, folder: Path, masks: Iterable[str]) -> bool:
    """Whether masks hold 0 and 255 alone where nothing says that 255 is to be ignored: people draw such masks for one class."""
    if about.ignore is not None or (about.classes is not None and len(about.classes) > 1):
        return False
    values: set[int] = set()
    for file in sorted(masks)[:_SNIFFED]:
        mask = read_index_mask(folder / file)
        black, white = mask == 0, mask == 255
        if not (black | white).all():
            return False
        values |= {value for value, shown in ((0, black), (255, white)) if shown.any()}
    return values == {0, 255}


def _label_map(path: Path, ignore: int | None, classes: ClassTable | None, black_and_white: bool) -> NDArray[np.int16]:
    values = read_index_mask(path)
    if black_and_white:
        return np.where(values == 255, next(iter(classes or {1: ""})), values).astype(np.int16)
    values[(values == 255) | (values == 65_535)] = -1
    if ignore is not None:
        values[values == ignore] = -1
    if values.max(initial=0) > 32_766 or values.min(initial=0) < -1:
        raise InputError(
            f"the mask holds values from {values.min()} to {values.max()}",
            where=os.fspath(path),
            remedy="Class numbers run from 1 to 32766; 0 is the background, 255 or 65535 ignore",
        )
    return values.astype(np.int16)
