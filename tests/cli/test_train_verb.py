"""`likewise train` on the command line."""

import json

import numpy as np
import pytest
from PIL import Image

RECIPE = """
episodes = 8
batch = 2
[method]
name = "cst"
side = 56
[backbone]
name = "random:vit-tiny-14"
features = "compute"
engine = "torch"
[data]
shapes = "shapes"
[[source]]
data = "shapes"
"""


@pytest.fixture
def recipe(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / "shapes" / name).mkdir(parents=True)
    for number in (1, 2):
        for copy in range(3):
            mask = np.zeros((40, 47 + copy), np.uint8)
            mask[5 : 20 + copy, 10:30] = number
            Image.fromarray(np.stack([mask * 90] * 3, axis=2)).save(tmp_path / f"shapes/images/{number}_{copy}.png")
            Image.fromarray(mask).save(tmp_path / f"shapes/masks/{number}_{copy}.png")
    (tmp_path / "shapes/dataset.json").write_text(json.dumps({"classes": {"1": "one", "2": "two"}, "split": {"train": ["one", "two"]}}))
    (tmp_path / "small.toml").write_text(RECIPE)
    return tmp_path / "small.toml"


def test_a_recipe_is_trained_into_a_folder_of_its_name_and_the_checkpoint_printed(run, recipe, tmp_path):
    code, out, said = run("train", recipe, "batch=4")
    assert code == 0, said
    assert (tmp_path / out.strip()).name == "last.safetensors"
    assert "--method cst --checkpoint runs/small/last.safetensors" in said
    code, out, said = run("train", recipe, "batch=4", "--json")
    assert (code, json.loads(out)["best"]) == (0, None)
    assert "going on after 8 of 8" in said


def test_a_part_of_a_method_is_not_offered_for_use(run, recipe):
    code, out, said = run("train", recipe, "method.part=enhancer")
    assert code == 0, said
    assert f"method.start={out.strip()}" in said
    assert "likewise label" not in said


def test_a_wrong_key_is_bad_input_that_names_the_nearest(run, recipe):
    code, _, said = run("train", recipe, "optimizer.rate=1")
    assert code == 4
    assert "did you mean 'optimiser'" in said


def test_a_recipe_can_be_checked_alone(run, recipe, tmp_path):
    code, out, _ = run("train", recipe, "fold=2", "--check")
    assert (code, json.loads(out)["fold"]) == (0, 2)
    assert not (tmp_path / "runs").exists()
