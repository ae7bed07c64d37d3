"""`likewise refine`: coarse examples in, a labelled folder out that can be learned from."""

import json

import numpy as np
import pytest
from PIL import Image

SIZE = (70, 84)


@pytest.fixture
def coarse(tmp_path):
    """Five pictures of a bright disc: a mask, a box, points, a scribble, a tag."""
    folder = tmp_path / "coarse"
    folder.mkdir()
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    examples, truth = [], {}
    for index, kind in enumerate(("mask", "box", "points", "scribble", "tag")):
        y, x = 25 + 4 * index, 60 - 6 * index
        disc = (rows - y) ** 2 + (columns - x) ** 2 < 14**2
        image = np.where(disc[..., None], [230, 210, 60], [30, 60, 90]) + np.random.default_rng(index).integers(0, 20, (*SIZE, 3))
        Image.fromarray(image.astype(np.uint8)).save(folder / f"{kind}.png")
        truth[kind] = disc
        entry = {"image": f"{kind}.png"}
        if kind == "mask":
            Image.fromarray(disc.astype(np.uint8)).save(folder / "mask_labels.png")
            entry["label_map"] = "mask_labels.png"
        elif kind == "box":
            entry["boxes"] = {"disc": [[x - 14, y - 14, x + 14, y + 14]]}
        elif kind == "points":
            entry["points"] = {"disc": {"positive": [[x, y], [x + 6, y]], "negative": [[2, 2]]}}
        elif kind == "scribble":
            entry["scribbles"] = {"disc": [[[x - 8, y], [x + 8, y]]]}
        else:
            entry["tags"] = {"disc": True}
        examples.append(entry)
    (folder / "examples.json").write_text(json.dumps({"classes": {"1": "disc"}, "examples": examples}))
    return folder, truth


def options(backbone="random:vit-tiny-14"):
    return ["--backbone", backbone, "--method", "ridge", "--set", "side=140"]


def test_masks_overlays_and_images_are_written_and_can_be_learned_from(run, coarse, tmp_path):
    folder, truth = coarse
    out = tmp_path / "out"
    code, printed, err = run("refine", folder, out, *options())
    assert code == 0, err
    assert printed.strip() == str(out)
    assert "4 masks drawn, 1 kept" in err
    for kind in truth:
        assert np.asarray(Image.open(out / "masks" / f"{kind}.png")).shape == SIZE
        assert (out / "images" / f"{kind}.png").read_bytes() == (folder / f"{kind}.png").read_bytes()
        assert (out / "overlays" / f"{kind}.jpg").is_file()
    assert np.array_equal(np.asarray(Image.open(out / "masks" / "mask.png")) == 1, truth["mask"])
    box = np.asarray(Image.open(out / "masks" / "box.png")) == 1
    assert box.any()
    assert not box[~np.asarray(truth_box(truth["box"]))].any()
    code, _, err = run("learn", out, "--out", tmp_path / "again.task", *options())
    assert code == 0, err
    assert "5 labelled images" in err


def truth_box(disc):
    rows, columns = np.flatnonzero(disc.any(1)), np.flatnonzero(disc.any(0))
    found = np.zeros_like(disc)
    found[max(rows[0] - 1, 0) : rows[-1] + 2, max(columns[0] - 1, 0) : columns[-1] + 2] = True
    return found


def test_a_folder_that_holds_something_is_refused_before_any_work(run, coarse, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    code, _, err = run("refine", coarse[0], tmp_path / "out", *options("no such backbone"))
    assert code == 2
    assert "there is something already" in err
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_what_was_written_is_told_as_json(run, coarse, tmp_path):
    code, printed, err = run("refine", coarse[0], tmp_path / "out", "--json", *options())
    assert code == 0, err
    assert json.loads(printed)["kept"] == ["mask"]
