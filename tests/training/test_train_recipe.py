"""Recipes are checked before anything runs, and changed from the command line."""

import pytest

from likewise.errors import InputError, UsageError
from likewise.training.recipe import read_recipe


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("optimiser.rat=1", ["optimiser.rat", "did you mean 'rate'"]),
        ("source.1.shar=3", ["source[1].shar", "did you mean 'share'"]),
        ("batches=3", ["batches", "did you mean 'batch'"]),
        ("optimiser.rate=-1", ["optimiser.rate", "greater than 0"]),
        ("schedule.name=cosinus", ["schedule.name", "'cosine'"]),
        ("source.0.data=shape", ["no data.shape", "did you mean 'shapes'"]),
        ("batch=7", ["40 episodes", "batches of 7"]),
        ("machine.devices=3", ["batch of 4", "3 devices"]),
        ("episodes=many", ["episodes", "integer"]),
        ("source.0.masks=101", ["source[0].masks", "100"]),
    ],
)
def test_what_does_not_fit_is_named_with_its_place_and_the_nearest_known_word(recipe_file, change, words):
    with pytest.raises(InputError) as caught:
        read_recipe(recipe_file, [change])
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (['dense.targets=["mask"]', "source.0.empty=false"], "empty of a source is of episodes of one class"),
        (['prompts.kinds=["mask"]', "source.0.empty=false"], "empty of a source is of episodes of one class"),
        (['dense.targets=["mask"]', 'validation.targets=["mask"]', "validation.metric=skill", "validation.empty=false"], "leave it out with .dense."),
    ],
)
def test_other_episodes_than_those_of_one_class_have_no_empty_queries_to_leave_out(recipe_file, changes, words):
    with pytest.raises(InputError, match=words):
        read_recipe(recipe_file, changes)


@pytest.mark.parametrize("change", ["batch", "=3", "source.5.share=1", "source.x.share=1", "batch.size=3"])
def test_a_change_that_names_no_value_of_the_recipe_is_refused(recipe_file, change):
    with pytest.raises(UsageError):
        read_recipe(recipe_file, [change])


def test_values_are_replaced_in_sections_and_lists_and_in_sections_that_are_not_there_yet(recipe_file):
    changes = [
        "optimiser.rate=1e-4",
        "source.1.masks=5",
        "method.supervision=pseudo",
        "method.kernels=[3, 6]",
        "schedule.steps=[0.5, 0.75]",
        "data.shapes=pascal-5i:/voc",
    ]
    recipe = read_recipe(recipe_file, changes)
    assert recipe.optimiser.rate == 1e-4
    assert [source.masks for source in recipe.source] == [100.0, 5.0]
    assert recipe.method.settings == {"side": 56, "supervision": "pseudo", "kernels": (3, 6)}
    assert recipe.schedule.steps == (0.5, 0.75)
    assert recipe.data["shapes"] == "pascal-5i:/voc"
    assert recipe.steps == 10


def test_a_file_that_is_no_toml_is_bad_input(tmp_path):
    (tmp_path / "broken.toml").write_text("batch = = 3")
    with pytest.raises(InputError, match="not valid TOML"):
        read_recipe(tmp_path / "broken.toml")
