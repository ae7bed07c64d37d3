"""Prompts that cannot be meant: said with what, where and remedy, before weights are opened or an image is looked at."""

import json

import numpy as np
import pytest
from PIL import Image

SIZE = (48, 64)
ABSENT = "dinov2-reg-small"  # its weights are not there: exit 3 if it came to that
BOX = {"boxes": {"disc": [[5, 5, 20, 20]]}}
BAD = {
    "a positive point right of the image": (
        {"points": {"disc": {"positive": [[3, 3], [70, 10]]}}},
        "the point (70, 10) lies outside the image of 64x48",
        "first: points['disc']['positive'][1]",
        "x right, y down",
    ),
    "a negative point above the image": (
        {"points": {"disc": {"positive": [[3, 3]], "negative": [[7, -1]]}}},
        "the point (7, -1) lies outside",
        "first: points['disc']['negative'][0]",
        "in pixels",
    ),
    "a scribble that leaves the image": ({"scribbles": {"disc": [[[3, 3], [64, 49]]]}}, "the point (64, 49) lies outside", "scribbles['disc'][0][1]", "pixels"),
    "a box without height": ({"boxes": {"disc": [[1, 1, 9, 9], [5, 20, 15, 20]]}}, "the box (5, 20, 15, 20) has no area", "boxes['disc'][1]", "y0 < y1"),
    "a box with its corners exchanged": ({"boxes": {"disc": [[20, 20, 5, 5]]}}, "the box (20, 20, 5, 5) has no area", "boxes['disc'][0]", "x0 < x1"),
    "a box beside the image": ({"boxes": {"disc": [[70, 5, 80, 20]]}}, "the box (70, 5, 80, 20) lies outside the image of 64x48", "boxes['disc'][0]", "pixels"),
    "a class that nobody declared": ({"points": {"dics": {"positive": [[3, 3]]}}}, "there is no class 'dics'", "first: points", "did you mean 'disc'?"),
    "a number that is no class": ({"boxes": {"7": [[1, 1, 9, 9]]}}, "there is no class 7", "first: boxes", "Known: disc, ring"),
    "a tag of a class that is not there": ({"tags": {"rign": False, "disc": True}}, "there is no class 'rign'", "first: tags", "did you mean 'ring'?"),
    "absent and pointed at": (
        {"tags": {"disc": False}, "points": {"disc": {"positive": [[3, 3]]}}},
        "'disc' is tagged as absent, and has a positive point",
        "first: tags['disc']",
        "Drop the tag",
    ),
    "absent, boxed and scribbled": (
        {"tags": {"disc": False}, "scribbles": {"disc": [[[3, 3], [9, 9]]]}, **BOX},
        "absent, and has a box and a scribble",
        "first: tags['disc']",
        "Drop the tag",
    ),
    "absent and masked": ({"tags": {"disc": False}, "masks": {"disc": "mask.png"}}, "absent, and has a mask", "first: tags['disc']", "Drop the tag"),
    "a point that is and is not": (
        {"points": {"disc": {"positive": [[3, 3], [7.5, 10]], "negative": [[9, 9], [7.5, 10]]}}},
        "the point (7.5, 10) is positive and negative",
        "first: points['disc']",
        "Keep it in one of the two lists",
    ),
    "no boxes listed": ({"boxes": {"disc": []}}, "there are no boxes", "boxes['disc']", "tag it as absent"),
    "a scribble of nothing": ({"scribbles": {"disc": [[]]}}, "a scribble has no points", "scribbles['disc']", "tag it as absent"),
    "no points listed": ({"points": {"disc": {"negative": []}}}, "there are no points", "points['disc']", "tag it as absent"),
}


@pytest.fixture
def folder(tmp_path):
    """folder(entry) -> a folder with an examples.json: the entry, and an example that is as it should be."""

    def made(entry, classes=("disc", "ring")):
        out = tmp_path / "examples"
        out.mkdir()
        for index, name in enumerate(("first", "second")):
            Image.fromarray(np.random.default_rng(index).integers(0, 255, (*SIZE, 3), np.uint8)).save(out / f"{name}.png")
        Image.fromarray(np.eye(*SIZE, dtype=np.uint8)).save(out / "mask.png")
        told = {
            "classes": list(classes),
            "examples": [
                {"image": "first.png", **entry},
                {"image": "second.png", "boxes": {name: [[5, 5, 20 + place, 20]] for place, name in enumerate(classes)}},
            ],
        }
        (out / "examples.json").write_text(json.dumps(told))
        return out

    return made


@pytest.mark.parametrize("kind", BAD)
def test_it_is_said_what_is_wrong_where_and_what_to_do(run, folder, tmp_path, kind):
    entry, what, where, remedy = BAD[kind]
    out = tmp_path / "out.task"
    code, printed, said = run("learn", folder(entry), "--out", out, "--backbone", ABSENT)
    assert (code, printed) == (4, "")
    first, place, advice = said.splitlines()[-3:]
    assert first.startswith("error: ")
    assert what in first
    assert place.startswith("  where: ")
    assert where in place
    assert advice.startswith("  remedy: ")
    assert remedy in advice
    assert not out.exists()


@pytest.mark.parametrize("verb", ["refine", "label"])
def test_other_verbs_that_read_examples_say_the_same(run, folder, tmp_path, verb):
    entry, what, where, _ = BAD["a point that is and is not"]
    examples, out = folder(entry), tmp_path / "out"
    code, _, said = run(verb, *{"refine": (examples, out), "label": (examples, examples, "--out", out)}[verb], "--backbone", ABSENT)
    assert code == 4
    assert what in said
    assert where in said
    assert not out.exists()


@pytest.mark.parametrize(
    "entry",
    [
        {"tags": {"disc": False}, "points": {"disc": {"negative": [[3, 3]]}}},
        {"points": {"disc": {"positive": [[3, 3]]}, "ring": {"positive": [[9, 9]], "negative": [[3, 3]]}}},
        {"points": {"disc": {"positive": [[64, 48]]}}},
        {"boxes": {"disc": [[-5, 5, 20, 60]]}},
    ],
    ids=["absent with a negative point", "of one class and not of another", "in the very corner", "a box that the border cuts"],
)
def test_what_only_looks_like_a_contradiction_is_learned_from(run, folder, tmp_path, entry):
    code, _, said = run(
        "learn", folder(entry), "--out", tmp_path / "a.task", "--backbone", "random:vit-tiny-14", "--engine", "torch", "--method", "ridge", "--set", "side=140"
    )
    assert code == 0, said


def test_more_classes_than_the_token_pool_marks_are_refused_before_the_backbone_is_opened(run, folder, tmp_path):
    options = ("--method", "label-anything", "--checkpoint", "random", "--set", "pool=4", "--backbone", ABSENT)
    code, _, said = run("learn", folder(BOX, ("disc", "ring", "bar", "dot")), "--out", tmp_path / "a.task", *options)
    assert code == 4, said
    assert "there are 4 classes, the token pool marks 3 at most" in said
    assert "set `pool` to 5 or more" in said


def test_as_many_classes_as_the_token_pool_marks_are_learned(run, folder, tmp_path):
    options = (
        "--method",
        "label-anything",
        "--checkpoint",
        "random",
        "--set",
        "pool=3",
        "--set",
        "side=56",
        "--engine",
        "torch",
        "--backbone",
        "random:vit-tiny-14",
    )
    code, _, said = run("learn", folder(BOX), "--out", tmp_path / "a.task", *options)
    assert code == 0, said
