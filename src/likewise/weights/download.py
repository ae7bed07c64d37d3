"""One file from an address: resumed, shown, counted and checked."""

from __future__ import annotations

import functools
import http.client
import os
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from likewise.errors import WeightsError
from likewise.weights.cache import CHUNK, sha256_of, writable

TRIES = 4
SCHEMES = ("http", "https", "file")
FAILURES = (urllib.error.URLError, http.client.HTTPException, OSError)


def open_url(url: str, *, headers: Mapping[str, str] | None = None, timeout: float = 30.0, cafile: str | None = None, proxy: str | None = None) -> Any:
    """The answer of an http(s) or file address; user and password in the address are sent as basic authentication."""
    bare, authorisation = split_credentials(url)
    if urllib.parse.urlsplit(bare).scheme not in SCHEMES:
        raise WeightsError("the address is neither http(s) nor a file", where=bare, remedy="Give an http(s) or file address")
    request = urllib.request.Request(bare, headers={"User-Agent": "likewise", **(headers or {})})  # noqa: S310 (scheme checked above)
    if authorisation:
        request.add_unredirected_header("Authorization", authorisation)
    return _opener(cafile, proxy).open(request, timeout=timeout)


def split_credentials(url: str) -> tuple[str, str | None]:
    """An address without user and password, and the header that carries them.

    >>> split_credentials("https://anna:secret@host/simple")
    ('https://host/simple', 'Basic YW5uYTpzZWNyZXQ=')
    """
    import base64

    parts = urllib.parse.urlsplit(url)
    if "@" not in parts.netloc:
        return url, None
    pair, host = parts.netloc.rsplit("@", 1)
    token = base64.b64encode(urllib.parse.unquote(pair).encode()).decode()
    return urllib.parse.urlunsplit(parts._replace(netloc=host)), f"Basic {token}"


def download(url: str, out: Path, *, sha256: str, progress: bool = True, label: str = "", **connection: Any) -> Path:
    """The file of an address as `out`, checked against its hash before it takes that name.

    What an earlier, interrupted call left beside it is continued. Raises WeightsError where the address cannot be
    read or holds another file.
    """
    part = out.with_name(out.name + ".part")
    with writable(out.parent):
        with _bar(label or out.name, progress) as advance:
            _receive(url, part, advance, **connection)
        if sha256_of(part) != sha256:
            part.unlink()
            bare = split_credentials(url)[0]
            raise WeightsError(
                "the file is not the one that was expected: its sha256 differs", where=bare, remedy="Try again; if it stays so, tell the registry's owner"
            )
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(out)
    return out


def _receive(url: str, part: Path, advance: Callable[[int, int | None], None], **connection: Any) -> None:
    for attempt in range(TRIES):
        try:
            return _receive_rest(url, part, advance, **connection)
        except FAILURES as error:
            lasting = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if lasting or attempt == TRIES - 1:
                bare = split_credentials(url)[0]
                raise WeightsError(
                    f"the download failed: {reason(error)}", where=bare, remedy="Check the connection and type the same again; it goes on where it stopped"
                ) from error
            time.sleep(0.2 * 2**attempt)
    raise AssertionError("the loop returns or raises")


def _receive_rest(url: str, part: Path, advance: Callable[[int, int | None], None], **connection: Any) -> None:
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        answer = open_url(url, headers=headers, **connection)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # the part is complete (or longer, which its hash will tell)
            raise
        return
    with answer:
        resumed = answer.status == 206
        length = answer.headers.get("Content-Length")
        total = int(length) + (have if resumed else 0) if length else None
        with part.open("ab" if resumed else "wb") as file:
            done = _copy(answer, file, have if resumed else 0, total, advance)
    if total is not None and done < total:
        raise http.client.IncompleteRead(b"", total - done)


def _copy(source: IO[bytes], file: IO[bytes], done: int, total: int | None, advance: Callable[[int, int | None], None]) -> int:
    advance(done, total)
    while chunk := source.read(CHUNK):
        file.write(chunk)
        done += len(chunk)
        advance(done, total)
    return done


def reason(error: BaseException) -> str:
    """A failure of the network in a few words."""
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    inner = getattr(error, "reason", None) or error
    return str(inner) or type(error).__name__


@functools.cache
def _opener(cafile: str | None, proxy: str | None) -> urllib.request.OpenerDirector:
    proxies = urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else None)
    return urllib.request.build_opener(proxies, urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=cafile)))


@contextmanager
def _bar(label: str, shown: bool) -> Iterator[Callable[[int, int | None], None]]:
    """A function that takes (bytes done, bytes in all) and shows them on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as bar:
        task = bar.add_task(label, total=None)

        def advance(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield advance
