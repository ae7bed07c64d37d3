"""`likewise evaluate` on classes of whole pictures, and training for it, on the command line."""

import json

import numpy as np
import pytest
from PIL import Image

TINY = ("--backbone", "random:vit-tiny-14", "--engine", "torch", "--episodes", "3", "--way", "2", "--queries", "2")
RECIPE = """
episodes = 2
batch = 1
[method]
name = "prototypical"
encoder = "conv4s"
side = 28
[data]
colours = "classes:{folder}"
[[source]]
data = "colours"
[classes]
way = 2
query = 2
"""


@pytest.fixture
def colours(tmp_path):
    """Four pictures of each of three colours, two to train on."""
    for number, name in enumerate(("red", "green", "blue", "grey", "brown")):
        folder = tmp_path / "colours" / ("train" if number < 2 else "test") / name
        folder.mkdir(parents=True)
        for copy in range(4):
            pixels = np.random.default_rng([number, copy]).integers(0, 60, (33, 29, 3), np.uint8)
            pixels[..., number % 3] += 40 * (number + 1)
            Image.fromarray(pixels).save(folder / f"{copy}.png")
    return tmp_path / "colours"


def test_the_accuracy_of_several_methods_is_told_and_goes_on(run, colours, tmp_path):
    code, out, err = run("evaluate", "prototypical,matching", f"classes:{colours}", *TINY, "--out", tmp_path / "out")
    assert code == 0, err
    assert out.startswith("| | benchmark | classes | episodes | accuracy, % |")
    assert "| matching | colours, test | 2 way, 1 shot, 2 queries | 3 | " in out
    lines = (tmp_path / "out/prototypical/colours-test-2way-1shot-2queries/episodes.jsonl").read_text().splitlines()
    assert [json.loads(line)["index"] for line in lines] == [0, 1, 2]
    _, again, _ = run("evaluate", "prototypical,matching", f"classes:{colours}", *TINY, "--out", tmp_path / "out")
    assert again == out


def test_json_says_which_sampler_drew(run, colours):
    code, out, _ = run("evaluate", "prototypical", f"classes:{colours}", *TINY, "--official", "--json")
    assert code == 0
    (record,) = json.loads(out)
    assert (record["episodes"]["sampler"], record["rule"], record["episodes"]["way"]) == ("closer-look", "population", 2)


def test_what_was_trained_is_evaluated_by_its_checkpoint_on_classes_that_it_did_not_see(run, colours, tmp_path):
    recipe = tmp_path / "colours.toml"
    recipe.write_text(RECIPE.format(folder=colours))
    code, out, err = run("train", recipe, "--out", tmp_path / "run")
    assert code == 0, err
    checkpoint = out.strip()
    code, out, err = run("evaluate", "prototypical", f"classes:{colours}", *TINY, "--checkpoint", checkpoint)
    assert code == 0, err
    assert "strict folds: none of the classes that are evaluated was trained on" in out
    code, out, _ = run("evaluate", "prototypical", f"classes:{colours}", *TINY, "--checkpoint", checkpoint, "--part", "train")
    assert code == 0
    assert "in-domain" in out


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("nearest",), 2, "gives no class for a whole picture"),
        (("zero-shot-relation", "--checkpoint", "random"), 2, "learns from no pictures"),
        (("prototypical", "--way", "4"), 2, "4 of 3 classes"),
        (("prototypical", "--shot", "1,2"), 2, "one number"),
        (("prototypical", "--part", "val"), 4, "no classes in the part 'val'"),
    ],
)
def test_what_cannot_be_evaluated_is_told(run, colours, arguments, code, told):
    found, _, err = run("evaluate", arguments[0], f"classes:{colours}", *TINY, *arguments[1:])
    assert (found, told in err) == (code, True), err
