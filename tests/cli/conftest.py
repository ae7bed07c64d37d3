"""Commands run in-process, and a few labelled images in a folder."""

import numpy as np
import pytest
import torch
from PIL import Image

from likewise.cli import main


@pytest.fixture(autouse=True)
def own_surroundings(tmp_path, monkeypatch):
    """Every test has its own cache and working folder, and no network."""
    monkeypatch.setenv("LIKEWISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LIKEWISE_OFFLINE", "1")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.delenv("LIKEWISE_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def run(capsys):
    """run(arguments...) -> (exit code, stdout, stderr)."""

    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def labelled_folder(folder, count, first=0):
    """A folder of images and index masks: a red square on noise is class 1, "square"."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for index in range(first, first + count):
        generator = np.random.default_rng(index)
        pixels = generator.integers(0, 120, (48 + index, 71, 3), np.uint8)
        mask = np.zeros(pixels.shape[:2], np.uint8)
        mask[8 : 24 + index, 20:45] = 1
        pixels[mask == 1] = (230, 40, 40)
        Image.fromarray(pixels).save(folder / "images" / f"photo-{index}.png")
        Image.fromarray(mask).save(folder / "masks" / f"photo-{index}.png")
    (folder / "classes.json").write_text('{"classes": {"1": "square"}}')
    return folder


@pytest.fixture
def examples(tmp_path):
    return labelled_folder(tmp_path / "examples", 3)


@pytest.fixture
def more_examples(tmp_path):
    return labelled_folder(tmp_path / "more", 1, first=5)


TINY = ("--backbone", "random:vit-tiny-14", "--engine", "torch", "--preset", "fast")


@pytest.fixture
def tiny():
    """Options for a backbone of random numbers that is there everywhere."""
    return TINY


@pytest.fixture
def learned(examples, tmp_path, run):
    """A task file made by the command."""
    code, _, said = run("learn", examples, "--out", tmp_path / "a.task", *TINY)
    assert code == 0, said
    return tmp_path / "a.task"
