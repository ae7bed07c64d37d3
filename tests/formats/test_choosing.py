"""Some of the labels of a folder, from some of its examples."""

import json

import numpy as np
import pytest
from PIL import Image

from likewise.errors import InputError, UsageError
from likewise.formats import read_support


@pytest.fixture
def folder(tmp_path):
    """Four images with masks and points; depth for all but the first."""
    for name in ("images", "masks", "depth"):
        (tmp_path / name).mkdir()
    for index in range(4):
        Image.fromarray(np.full((6, 9 + index, 3), 40 * index, np.uint8)).save(tmp_path / "images" / f"i{index}.png")
        Image.fromarray(np.full((6, 9 + index), 1, np.uint8)).save(tmp_path / "masks" / f"i{index}.png")
        if index:
            Image.fromarray(np.full((6, 9 + index), 100 + index, np.uint16)).save(tmp_path / "depth" / f"i{index}.png")
    points = {f"i{index}": [[2, 3, 2]] for index in range(4)}
    (tmp_path / "keypoints.json").write_text(json.dumps({"keypoints": ["nose"], "points": points}))
    (tmp_path / "dataset.json").write_text(json.dumps({"classes": {"1": "thing"}, "depth": {"unit": "mm", "invalid": 0}}))
    return tmp_path


def names(support):
    return [example.name for example in support.examples]


def test_without_a_choice_everything_is_read(folder):
    support = read_support(folder).support
    assert (names(support), list(support.targets), support.keypoints, dict(support.classes.names)) == (
        ["i0", "i1", "i2", "i3"],
        ["depth"],
        ("nose",),
        {1: "thing"},
    )


def test_one_target_is_read_of_the_first_examples_that_have_it(folder):
    support = read_support(folder, targets=["depth"], most=2).support
    assert names(support) == ["i1", "i2"]
    assert (list(support.targets), support.keypoints, dict(support.classes.names)) == (["depth"], (), {})
    assert support.kinds() == {"dense"}
    assert support.examples[1].labels.dense["depth"][0, 0, 0] == 102


def test_classes_and_keypoints_can_be_asked_for_together_or_alone(folder):
    both = read_support(folder, targets=["keypoints", "classes"]).support
    assert (names(both), both.kinds()) == (["i0", "i1", "i2", "i3"], {"mask", "keypoint"})
    assert read_support(folder, targets=["classes"], most=3).support.kinds() == {"mask"}


def test_what_is_not_there_is_said_with_the_closest_match(folder):
    with pytest.raises(InputError, match="did you mean 'depth'"):
        read_support(folder, targets=["dept"])
    (folder / "keypoints.json").unlink()
    with pytest.raises(InputError, match="says anything of keypoints"):
        read_support(folder, targets=["keypoints"])
    with pytest.raises(UsageError, match="--first"):
        read_support(folder, most=0)
