"""The image lists that fix the folds of Pascal-5i and COCO-20i, read from the user's folder and checked against the official ones.

They are not ours to pass on: https://github.com/dahyun-kang/cst (data/splits) has them. Pascal's are text, COCO's pickles,
which are opened by an unpickler that knows no names; COCO's may also be the JSON of `benchmarks` that holds the same.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn

from likewise.episodes.folds import FOLDS, OfficialName, base_classes, novel_classes
from likewise.errors import InputError
from likewise.formats.files import read_bytes

Split = Literal["trn", "val"]
SOURCE = "Get it from https://github.com/dahyun-kang/cst (data/splits), or say that it is your own"

# of the official files, by place below the folder of the benchmark
MD5 = {
    "pascal-5i/trn/fold0.txt": "41726cbde6fecf2111a78c9c9821070c",
    "pascal-5i/trn/fold1.txt": "0b9c4cd1a947e138650c64fd9fec88da",
    "pascal-5i/trn/fold2.txt": "0072741f42889063d50a622e7867bdf7",
    "pascal-5i/trn/fold3.txt": "9db371cb6d2dd0e01649ee4b63434652",
    "pascal-5i/val/fold0.txt": "0b0acebfa5a8c6ea5daaa6797fdbcd5e",
    "pascal-5i/val/fold1.txt": "4318c6eab4e397a34282b95c51032e03",
    "pascal-5i/val/fold2.txt": "b7d01149959ae68c2147f60963998fdc",
    "pascal-5i/val/fold3.txt": "a2ef44f9cc48ee5772a53147b8d220bb",
    "coco-20i/trn/fold0.pkl": "4d0736ed675962280227a147d3a1e78f",
    "coco-20i/trn/fold1.pkl": "b58daddb7251dab94b99502d3dc553a2",
    "coco-20i/trn/fold2.pkl": "ad7101e2c444fb7142a554eec1c15d6a",
    "coco-20i/trn/fold3.pkl": "7f7a95b69abafcb3c929708bc8332df5",
    "coco-20i/val/fold0.pkl": "ccb46429ea45be5a6a0801a15ac362c5",
    "coco-20i/val/fold1.pkl": "1dd18ad6f89f63504d1bb1ff7c4f6c9f",
    "coco-20i/val/fold2.pkl": "6fcafd995536c68b1d67be8b67c74416",
    "coco-20i/val/fold3.pkl": "08f0aae1b5f22f4c26ed550f12c9352a",
    "coco-20i/trn.json.gz": "4ecd3c9588a6b135fd82d61c7d4aa2e8",
    "coco-20i/val.json.gz": "f0f5abdf5b3dfd5f085b423bdc0495f6",
}
_LINE = re.compile(r"([\w\-]+)__(\d+)")


@dataclass(frozen=True)
class ImageList:
    """The images of a fold and split.

    by_class: the names that show a class, by class number (from 1) in increasing order, in the order of the list;
    queries: (name, class) in order where the list itself says which are the queries (Pascal), () where they are drawn;
    objects: how many of each class an image shows, where that is known.
    """

    by_class: Mapping[int, Sequence[str]]
    queries: Sequence[tuple[str, int]] = ()
    objects: Mapping[str, Mapping[int, int]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def length(self) -> int:
        """Lines of a list of queries, else distinct images: how many episodes an epoch of training has."""
        return len(self.queries) or len({name for names in self.by_class.values() for name in names})


def read_list(benchmark: OfficialName, folder: Path, fold: int, split: Split, *, official: bool = True) -> ImageList:
    """The list of a fold; split "trn" for its base classes, "val" for its novel ones (validation and test are one).

    folder: holds trn/fold0.txt and so on (Pascal) or .pkl, or trn.json.gz and val.json.gz (COCO). official: the MD5 must be
    that of the published files. Raises InputError for files that are missing, foreign or have an empty fold.
    """
    found = (_pascal if benchmark == "pascal-5i" else _coco)(folder, fold, split, official)
    empty = [number for number, names in found.by_class.items() if not names]
    if empty:
        raise InputError(f"fold {fold} has no image of class {empty[0]}", where=str(folder / split), remedy="Give each class at least one image")
    return found


def _pascal(folder: Path, fold: int, split: Split, official: bool) -> ImageList:
    classes = novel_classes("pascal-5i", fold) if split == "val" else base_classes("pascal-5i", fold)
    files = [fold] if split == "val" else [other for other in range(FOLDS) if other != fold]
    queries: list[tuple[str, int]] = []
    for other in files:
        path = folder / split / f"fold{other}.txt"
        for number, line in enumerate(_content(path, "pascal-5i", official).decode("utf-8", "replace").split(), start=1):
            match = _LINE.fullmatch(line)
            if match is None or int(match[2]) not in classes:
                raise InputError(f"line {number} is {line!r}", where=str(path), remedy="Write NAME__CLASS with a class of the fold in two digits")
            queries.append((match[1], int(match[2])))
    return ImageList({number: [name for name, own in queries if own == number] for number in classes}, queries)


def _coco(folder: Path, fold: int, split: Split, official: bool) -> ImageList:
    classes = novel_classes("coco-20i", fold) if split == "val" else base_classes("coco-20i", fold)
    packed = folder / f"{split}.json.gz"
    names = _from_json(packed, official) if packed.is_file() else _from_pickle(folder / split / f"fold{fold}.pkl", official)
    return ImageList({number: names.get(number - 1, []) for number in classes})


def _from_json(path: Path, official: bool) -> dict[int, list[str]]:
    try:
        found = json.loads(gzip.decompress(_content(path, "coco-20i", official)))
        return {int(number): [found["file_name"] % image for image in images] for number, images in found["images_of_class"].items()}
    except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"it is no list of COCO-20i ({error})", where=str(path), remedy=SOURCE) from error


def _from_pickle(path: Path, official: bool) -> dict[int, list[str]]:
    found = plain_pickle(_content(path, "coco-20i", official), str(path))
    fits = isinstance(found, dict) and all(isinstance(key, int) and isinstance(value, list) for key, value in found.items())
    if not fits or not all(isinstance(name, str) for names in found.values() for name in names):
        raise InputError("it does not hold names by class number", where=str(path), remedy=SOURCE)
    return dict(found)


def plain_pickle(content: bytes, where: str) -> Any:
    """What a pickle of numbers, texts, lists and dictionaries holds; one that names anything to be called is refused by InputError."""
    try:
        return _PlainUnpickler(io.BytesIO(content)).load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, IndexError, KeyError, AttributeError, MemoryError) as error:
        raise InputError(f"it is no plain pickle ({error})", where=where, remedy=SOURCE) from error


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _content(path: Path, benchmark: OfficialName, official: bool) -> bytes:
    if not path.is_file():
        raise InputError("the list is not there", where=str(path), remedy=SOURCE)
    content = read_bytes(path)
    place = f"{benchmark}/{path.name}" if path.suffix == ".gz" else f"{benchmark}/{path.parent.name}/{path.name}"
    if official and hashlib.md5(content, usedforsecurity=False).hexdigest() != MD5.get(place):
        raise InputError("it is not the official list: its MD5 is another", where=str(path), remedy=SOURCE)
    return content
