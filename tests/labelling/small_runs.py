"""Small pictures with known labels, and what must not depend on how a run went."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = {1: "disc", 3: "bar <b>&"}
COUNT = 38  # images of a run: more than one window, and not a multiple of a batch

PRESSED = """
import signal, sys, torch, likewise
from likewise.cli import main
from likewise.labelling import label_folder
torch.set_num_threads(1)
whole, batches = likewise.Task.predict_prepared, []
def predict(self, batch, times=None):
    batches.append(len(batch))
    if len(batches) == int(sys.argv[1]):
        signal.raise_signal(signal.SIGINT)
    return whole(self, batch, times)
likewise.Task.predict_prepared = predict
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started this with Ctrl-C ignored
CALL
print(len(batches), sum(batches), signal.getsignal(signal.SIGINT) is signal.default_int_handler)
sys.exit(code)
"""


def with_ctrl_c(call: str, batch: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """What a process did that runs `call`, which sets `code`, and in which Ctrl-C is pressed during that batch; arguments: sys.argv[2:].

    Its last line on stdout: how many batches and images were predicted, and whether Ctrl-C does afterwards what it did before.
    """
    script = PRESSED.replace("CALL", call)
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(batch), *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )


def draw(seed: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A noisy picture with a bright disc or a dark bar, and its label map."""
    height, width = size
    noise = np.random.default_rng(seed)
    pixels = noise.integers(90, 130, (height, width, 3)).astype(np.uint8)
    labels = np.zeros(size, np.uint8)
    rows, columns = np.mgrid[:height, :width]
    if seed % 3 != 2:
        where = (rows - height * 0.4) ** 2 + (columns - width * 0.3) ** 2 < (min(size) * (0.2 + 0.03 * (seed % 4))) ** 2
        pixels[where], labels[where] = (240, 200, 40), 1
    if seed % 2:
        where = (columns > width * 0.7) & (rows > 4)
        pixels[where], labels[where] = (20, 30, 90), 3
    return pixels, labels


def write_images(folder: Path, count: int, start: int = 0) -> Path:
    """Landscape and portrait images in two folders, as PNG and JPEG."""
    for number in range(start, start + count):
        pixels, _ = draw(number, (40, 90) if number % 3 else (88, 42))
        path = folder / ("left" if number % 2 else "") / f"image {number:03}.{'jpg' if number % 4 else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder


def content(out: Path) -> dict[str, bytes]:
    """The bytes of everything that must not depend on how a run went: labels, manifest, pictures of the report."""
    files = [path for path in out.rglob("*") if path.is_file()]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files if path.name not in ("run.json", "times.jsonl", "report.html", "lock")}
