"""`--channels`: pictures with many deep channels are learned from and labelled, and a task remembers which it shows."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from likewise.task import load


@pytest.fixture
def bands(tmp_path):
    """Three labelled pictures of five 16-bit channels; a square shows in the fourth alone."""
    for name in ("images", "masks"):
        (tmp_path / "bands" / name).mkdir(parents=True)
    for index in range(3):
        random = np.random.default_rng(index)
        values = random.integers(1000, 2000, (50, 70, 5)).astype(np.uint16)
        mask = np.zeros((50, 70), np.uint8)
        mask[10:30, 15 + 5 * index : 45] = 1
        values[mask == 1, 3] += 30_000
        tifffile.imwrite(tmp_path / f"bands/images/{index}.tif", values, photometric="minisblack", planarconfig="contig")
        Image.fromarray(mask).save(tmp_path / f"bands/masks/{index}.png")
    (tmp_path / "bands/classes.json").write_text('{"1": "square"}')
    return tmp_path / "bands"


def test_a_task_remembers_its_channels_and_labels_with_them(run, bands, tiny, tmp_path):
    code, _, err = run("learn", bands, "--channels", "4,2,1", "--out", tmp_path / "a.task", *tiny)
    assert code == 0, err
    assert load(tmp_path / "a.task").channels.numbers == (4, 2, 1)
    code, out, err = run("label", tmp_path / "a.task", bands / "images", "--out", tmp_path / "labels", "--truth", bands, "--json", "--overlays")
    assert code == 0, err
    assert json.loads(out)["failed"] == 0
    assert (tmp_path / "labels/0.overlay.jpg").is_file()
    code, _, err = run("label", tmp_path / "a.task", bands / "images", "--channels", "1", "--out", tmp_path / "other")
    assert code == 2
    assert "learned already" in err


def test_without_channels_such_pictures_are_refused_with_the_way_to_choose_them(run, bands, tiny, tmp_path):
    code, _, err = run("learn", bands, "--out", tmp_path / "a.task", *tiny)
    assert code == 4
    assert "--channels 3,2,1" in err
    code, _, err = run("learn", bands, "--channels", "4,x", "--out", tmp_path / "a.task", *tiny)
    assert code == 2
    assert "names no channels" in err
    code, _, err = run("learn", bands, "--channels", "6", "--out", tmp_path / "a.task", *tiny)
    assert code == 4
    assert "no channel 6, it has 5" in err


def test_more_examples_must_show_the_same_channels(run, bands, tiny, tmp_path):
    assert run("learn", bands, "--channels", "4", "--out", tmp_path / "a.task", *tiny)[0] == 0
    for index in range(3):
        for folder, ending in (("images", "tif"), ("masks", "png")):
            (tmp_path / "more" / folder).mkdir(parents=True, exist_ok=True)
            (tmp_path / "more" / folder / f"more-{index}.{ending}").write_bytes((bands / folder / f"{index}.{ending}").read_bytes())
    (tmp_path / "more/classes.json").write_text('{"1": "square"}')
    code, _, err = run("learn", tmp_path / "a.task", "--add", tmp_path / "more", "--channels", "1")
    assert code == 4
    assert "shows the channels 4" in err
    assert run("learn", tmp_path / "a.task", "--add", tmp_path / "more", "--channels", "4")[0] == 0
    task = load(tmp_path / "a.task")
    assert (task.channels.numbers, len(task.support)) == ((4,), 6)


def test_every_verb_that_reads_examples_shows_the_channels_it_is_told(run, bands, tiny, tmp_path):
    code, out, err = run("check", bands)
    assert code == 4
    assert out.count("--channels 3,2,1") == 3
    code, out, err = run("check", bands, "--channels", "4,2,1")
    assert code == 0, out + err
    code, out, err = run("inspect", bands, "--channels", "4,2,1", "--json")
    assert code == 0, err
    code, out, err = run("convert", bands, tmp_path / "coco", "--format", "coco", "--channels", "4")
    assert code == 0, err
    assert (tmp_path / "coco/images/0.tif").read_bytes() == (bands / "images/0.tif").read_bytes()
    assert run("check", tmp_path / "coco", "--channels", "4")[0] == 0
    learning = ("--method", "prototype", *tiny[:2])
    code, out, err = run("refine", bands, tmp_path / "refined", "--channels", "4,2,1", *learning)
    assert code == 0, err
    assert run("check", tmp_path / "refined", "--channels", "4,2,1")[0] == 0
