"""Reading and writing files safely: JSON within limits, names that stay inside their folder, atomic writes."""

from __future__ import annotations

import itertools
import json
import os
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from likewise.errors import InputError, OutputError, close_match
from likewise.files import replacing, replacing_folder, said_where

MAX_JSON = 1 << 29  # bytes; the annotations of all of COCO's training images are 470 MB
MAX_LISTED = 20  # problems that one message lists
_LONGEST_PATH, _STEPS = 4096, 32

Model = TypeVar("Model", bound=BaseModel)
Item = TypeVar("Item", bound=Hashable)
Read = TypeVar("Read")


def read_bytes(path: Path, limit: int = MAX_JSON) -> bytes:
    """The content of a file of at most `limit` bytes; InputError with its name otherwise."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            content = b"" if size > limit else stream.read(limit + 1)  # a device has no size, and no end
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror})", where=str(path), remedy="Check the path and its permissions") from error
    if max(size, len(content)) > limit:
        raise InputError(f"it has {max(size, len(content)):,} bytes, the limit is {limit:,}", where=str(path), remedy="Split it into smaller files")
    return content


def read_text(path: Path, limit: int = MAX_JSON) -> str:
    """The text of a file in UTF-8, a mark of byte order left out; InputError with its name for any other."""
    try:
        return read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("it is not a text file in UTF-8", where=str(path), remedy="Save it as UTF-8") from error


def sniffed(path: Path, limit: int, first: int | None = None) -> bytes:
    """The content of a file, or its first bytes, to see what it is; nothing of one beyond the limit, of a folder, or of what cannot be read."""
    try:
        if not path.is_file() or path.stat().st_size > limit:
            return b""
        with path.open("rb") as stream:
            return stream.read(limit if first is None else first)
    except (OSError, ValueError):
        return b""


def read_json(path: Path, *, unique: bool = False) -> Any:
    """What a JSON file holds; `unique` refuses a key that is written twice.

    Raises InputError for what is not JSON, NaN and infinity, depth without end, and files beyond the limit.
    """
    content = read_bytes(path)
    try:
        return json.loads(content.decode("utf-8-sig"), parse_constant=_refuse_constant, object_pairs_hook=_distinct if unique else None)
    except RecursionError as error:
        raise InputError("it is nested too deeply", where=str(path), remedy="Check that it is the right file") from error
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError, numbers of thousands of digits, and our own
        raise InputError(f"it is not valid JSON ({error})", where=str(path), remedy="Check it with a JSON editor") from error


def validate(model: type[Model], data: object, path: Path) -> Model:
    """The model made of what a file holds; one InputError that lists every problem by field."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = [(_field(detail["loc"]), _reason(model, detail)) for detail in error.errors(include_url=False)]
        raise problems_error(path, problems) from error


class ProblemsError(InputError):
    """Several problems at once; `problems` has each with its own what, where and remedy."""

    problems: Sequence[InputError] = ()


def problems_error(path: Path, problems: Iterable[tuple[str, str]], remedy: str = "Correct these fields") -> InputError:
    """One InputError for all (field, reason) found in a file."""
    listed = list(problems)
    single = [InputError(reason, where=f"{path}: {field}" if field else str(path), remedy=remedy) for field, reason in listed]
    if len(single) == 1:
        return single[0]
    error = ProblemsError(_told([f"{field}: {reason}" if field else reason for field, reason in listed]), where=str(path), remedy=remedy)
    error.problems = single
    return error


def problems_of(error: InputError) -> Sequence[InputError]:
    """The problems that an error stands for: its own ones, or itself."""
    return error.problems if isinstance(error, ProblemsError) else [error]


def for_each(items: Iterable[Item], read: Callable[[Item], Read]) -> dict[Item, Read]:
    """What is read of each item; one InputError for all problems of all of them."""
    found: dict[Item, Read] = {}
    errors: list[InputError] = []
    for item in items:
        try:
            found[item] = read(item)
        except InputError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        problems = [problem for error in errors for problem in problems_of(error)]
        joined = ProblemsError(_told([f"{each.where}: {each.what}" for each in problems]), where=errors[0].where, remedy=problems[0].remedy)
        joined.problems = problems
        raise joined
    return found


def _told(lines: Sequence[str]) -> str:
    """A list of problems in words, of which the first are shown."""
    more = [f"and {len(lines) - MAX_LISTED} more"] if len(lines) > MAX_LISTED else []
    return "\n  ".join([f"{len(lines)} problems:", *lines[:MAX_LISTED], *more])


def inside(root: Path, name: str, where: str) -> Path:
    """The path of a file that a text names relative to `root`; InputError if it lies outside, also through a link."""
    relative = PurePosixPath(name.replace("\\", "/"))
    if not name or "\0" in name or relative.is_absolute() or (relative.parts and relative.parts[0].endswith(":")):
        raise InputError(f"{name[:80]!r} is not a path inside the folder", where=where, remedy="Name files relative to the folder of the data set")
    path = Path(os.path.normpath(root / relative))
    try:
        path.is_file()
        within = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))  # `Path.resolve` fails at links that go in circles
    except (OSError, ValueError) as error:  # a name that is too long, or has characters that no file system takes
        raise InputError(f"{name[:80]!r} is no name of a file", where=where, remedy="Name files relative to the folder of the data set") from error
    if not within:
        raise InputError(f"{name[:80]!r} lies outside {root}", where=where, remedy="Put the file into the folder, or give the folder that holds both")
    return path


def name_inside(name: str) -> None:
    """OutputError for the name of an image that would lead out of an output folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.name or "\0" in name:
        raise OutputError(f"{name!r} is no name inside the output folder", where=name, remedy="Name images relative to their folder")


def ends_of(written: str) -> Sequence[str]:
    """The ends of a path that other machines wrote, longest first, as far as they can be those of a file: at most 32 steps of 4096 characters.

    >>> ends_of("C:/data//./a/b.jpg")
    ['C:/data/a/b.jpg', 'data/a/b.jpg', 'a/b.jpg', 'b.jpg']
    """
    if len(written) > _LONGEST_PATH:
        return []
    steps = [step for step in written.replace("\\", "/").split("/") if step not in ("", ".", "..")][-_STEPS:]
    return ["/".join(steps[first:]) for first in range(len(steps))]


def is_file(path: Path) -> bool:
    """Whether there is such a file; False for names that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def likeliest_root(bases: Iterable[Path], folder: Path, names: Iterable[str], where: str) -> Path:
    """Of some folders the one in which most of the first names are files; never one outside `folder`. InputError as in `inside`."""
    some = list(itertools.islice(names, 20))
    within = [base for base in dict.fromkeys(bases) if base.is_dir() and base.resolve().is_relative_to(folder.resolve())]
    counts = {base: sum(inside(base, name, where).is_file() for name in some) for base in within}
    return max(within, key=lambda base: counts[base])


def there(root: Path, name: str, where: str) -> str:
    """The posix path, relative to `root`, of a file that a text names; "" if it is not there. InputError as in `inside`."""
    path = inside(root, name, where)
    return path.relative_to(root).as_posix() if path.is_file() else ""


def must_be_new(out: Path) -> None:
    """OutputError unless a folder is not there, or empty."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError("there is something already", where=str(out), remedy="Name a new folder")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder on the way that becomes `out` at the end, which is there whole or not at all. OutputError for an `out` that holds something."""
    must_be_new(out)
    with replacing_folder(out) as draft:
        yield draft


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A stream whose content becomes the file when all of it is on the disk; on an error nothing is changed."""
    with said_where(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft, draft.open("wb") as stream:
            yield stream


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, making its folder if need be."""
    with atomic_file(path) as stream:
        stream.write(content)


def json_bytes(value: object) -> bytes:
    """A value as UTF-8 JSON with a line break at the end; the same value gives the same bytes."""
    return json_text(value, indent=1) + b"\n"


def json_text(value: object, *, indent: int | None = None) -> bytes:
    """A value as JSON, compact without `indent`: characters as they are, but for bytes of file names that are no text, which are escaped."""
    separators = (",", ":") if indent is None else None
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators).encode()
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, allow_nan=False, indent=indent, separators=separators).encode()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number that JSON knows")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice[:80]!r} is written twice in one object")
    return made


def _field(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _reason(model: type[BaseModel], detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        return f"there is no such field; {close_match(str(detail['loc'][-1]), _known_fields(model, detail['loc'][:-1]))}"
    return detail["msg"][:1].lower() + detail["msg"][1:]


def _known_fields(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The fields of the model that stands at a place inside another, found by its annotations."""
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            inner = next(_models(model.model_fields[part].annotation), None)
            model = inner or model
        elif isinstance(part, str):
            model = next((kind for field in model.model_fields.values() for kind in _models(field.annotation) if kind.__name__ == part), model)
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models(argument)
