"""Episodes of training: by index, by share, with as many masks as the recipe allows."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from likewise.backbones import FeatureProvider, load_backbone
from likewise.backbones.features import FeatureSpec
from likewise.episodes.evaluation import feature_bytes
from likewise.episodes.opening import open_benchmark
from likewise.errors import InputError
from likewise.training.recipe import read_recipe
from likewise.training.sources import Draws, EpisodeFeatures, class_mask, first_percent
from likewise.training.validation import validation_episodes


def draws_of(recipe_file, *changes):
    recipe = read_recipe(recipe_file, changes)
    return Draws(recipe, {name: open_benchmark(text) for name, text in recipe.data.items()})


def key(drawn):
    return drawn.benchmark.name, drawn.episode, drawn.query_masked, drawn.support_masked


@pytest.mark.parametrize(("percent", "count"), [(0, 0), (2.5, 1), (5, 2), (10, 4), (100, 40)])
def test_the_first_images_by_name_have_masks(percent, count):
    names = [f"{number:03d}" for number in range(40)]
    assert sorted(first_percent([*reversed(names), "007"], percent)) == names[:count]


def test_an_episode_depends_on_its_index_and_the_seed_alone(recipe_file):
    one, two, other = draws_of(recipe_file), draws_of(recipe_file), draws_of(recipe_file, "seed=4")
    assert [key(one[index]) for index in (30, 2, 9)] == [key(two[index]) for index in (30, 2, 9)]
    assert [key(one[index]) for index in range(9)] != [key(other[index]) for index in range(9)]


def test_sources_are_drawn_by_their_shares_and_only_from_their_part(recipe_file):
    draws = draws_of(recipe_file, "episodes=400")
    found = [draws[index] for index in range(400)]
    from_shapes = [one for one in found if one.benchmark.name == "shapes"]
    assert 220 < len(from_shapes) < 310  # two thirds of 400, give or take five deviations
    assert {one.episode.query.split("_")[0] for one in from_shapes} == {"red", "green", "blue"}
    assert all("@" in one.episode.query for one in found if one.benchmark.name != "shapes")


def test_only_the_images_that_may_show_their_masks_show_them(recipe_file):
    draws = draws_of(recipe_file, "source.0.masks=50", "source.1.masks=0", "episodes=60")
    allowed = first_percent([f"{name}_{copy}" for name in ("red", "green", "blue") for copy in range(4)], 50)
    for drawn in (draws[index] for index in range(60)):
        names = drawn.episode.query, drawn.episode.supports[0][0]
        expected = tuple(name in allowed for name in names) if drawn.benchmark.name == "shapes" else (False, False)
        assert (drawn.query_masked, drawn.support_masked) == expected


def test_images_without_masks_can_be_left_out(recipe_file):
    draws = draws_of(recipe_file, "source.0.masks=50", "source.0.only_masked=true", "source.1.share=1e-9", "episodes=60")
    assert all(draws[index].query_masked and draws[index].support_masked for index in range(60))
    with pytest.raises(InputError, match="two of the images asked for"):
        draws_of(recipe_file, "source.0.masks=5", "source.0.only_masked=true")


def shown(drawn):
    return any((drawn.benchmark.labels(drawn.episode.query) == number).any() for number in drawn.episode.classes)


@pytest.mark.parametrize("listed", [False, True])
def test_queries_that_show_nothing_are_left_out_of_the_sources_that_ask_for_it(recipe_file, tmp_path, listed):
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"{name}_{copy}" for name in ("red", "green", "blue") for copy in range(4)))
    only = [f"source.0.only={json.dumps(str(names))}"] if listed else []
    plain, whole = (draws_of(recipe_file, f"source.0.empty={word}", "source.1.share=1e-9", "episodes=60", *only) for word in ("true", "false"))
    assert {shown(plain[index]) for index in range(60)} == {True, False}
    assert all(shown(whole[index]) for index in range(60))


@pytest.mark.parametrize("empty", ["true", "false"])
def test_a_validation_leaves_them_out_too_where_it_is_asked_to(recipe_file, shapes, empty):
    recipe, benchmark = read_recipe(recipe_file, [f"validation.empty={empty}", "validation.episodes=40"]), open_benchmark(str(shapes))
    found = {bool((benchmark.labels(episode.query) == episode.classes[0]).any()) for episode in validation_episodes(recipe, benchmark)}
    assert found == ({True, False} if empty == "true" else {True})


def test_an_episode_as_tensors_has_masks_of_its_class_with_void_and_says_whether_the_query_shows_it(recipe_file, shapes):
    draws = draws_of(recipe_file, "source.1.masks=0", "episodes=60")
    provider = FeatureProvider(load_backbone("random:vit-tiny-14"), engine="torch", precision="float32")
    features = EpisodeFeatures(provider, [FeatureSpec(layers=(), side=56, squash=True, qk=True)])
    seen = set()
    for drawn in (draws[index] for index in range(12)):
        episode = features(drawn, torch.device("cpu"))
        (number,) = drawn.episode.classes
        labels = drawn.benchmark.labels(drawn.episode.query)
        assert episode.present == bool((labels == number).any())
        assert (episode.query_mask is None) == (drawn.benchmark.name != "shapes")
        if episode.query_mask is not None:
            np.testing.assert_array_equal(episode.query_mask.numpy() == 1, labels == number)
            np.testing.assert_array_equal(episode.query_mask.numpy() == 255, labels == 255)
        seen.add((drawn.benchmark.name, episode.present))
    assert len(seen) == 4


def test_a_mask_holds_its_class_and_void_and_nothing_else(recipe_file, shapes):
    benchmark = open_benchmark(str(shapes))
    assert sorted(class_mask(benchmark, "blue_1", 3).unique().tolist()) == [0, 1, 255]
    assert sorted(class_mask(benchmark, "blue_1", 2).unique().tolist()) == [0, 255]


def test_the_size_told_before_is_that_of_the_files(tmp_path, shapes):
    provider = FeatureProvider(load_backbone("random:vit-tiny-14"), engine="torch", precision="float32", features=tmp_path / "kept")
    spec = FeatureSpec(layers=(), side=84, squash=True, qk=True)
    provider.extract([provider.prepare(shapes / "images/red_0.png", [spec])], spec)
    (path,) = (tmp_path / "kept").rglob("*.safetensors")
    assert abs(path.stat().st_size - feature_bytes(spec, provider.backbone.config)) < 1000


def test_a_list_chooses_the_images_of_a_source(recipe_file, tmp_path):
    (tmp_path / "some.txt").write_text("# these may be passed on\nred_0\nred_2\n\ngreen_1\n grey_3\nblue_0\nblue_3\n")
    (tmp_path / "views.txt").write_text("thing_1\n")
    draws = draws_of(recipe_file, f"source.0.only={tmp_path / 'some.txt'}", f"source.1.only={tmp_path / 'views.txt'}")
    (_, shapes), (_, views) = draws.names()
    assert shapes == ["blue_0", "blue_3", "red_0", "red_2"]  # of green there is one image alone, grey is no class of training
    assert views == [f"thing_1@{view}" for view in range(4)]
    with pytest.raises(InputError, match="two of the images asked for"):
        draws_of(recipe_file, f"source.0.only={tmp_path / 'views.txt'}")
    Image.fromarray(np.full((42, 54), 4, np.uint8)).save(tmp_path / "shapes/masks/red_1.png")  # a class of training that has one image
    facts = json.loads((tmp_path / "shapes/dataset.json").read_text())
    facts["split"] = {"train": ["red", "blue", "grey"], "val": ["brown"]}
    (tmp_path / "shapes/dataset.json").write_text(json.dumps(facts))
    for copy in range(4):
        (tmp_path / f"shapes/masks/grey_{copy}.png").unlink()
    (_, shapes), _ = draws_of(recipe_file, f"source.0.only={tmp_path / 'some.txt'}").names()
    assert shapes == ["blue_0", "blue_3", "red_0", "red_2"]
    with pytest.raises(InputError, match="'grey' has 1 images"):
        draws_of(recipe_file)
    with pytest.raises(InputError, match="nowhere"):
        draws_of(recipe_file, "source.0.only=nowhere.txt")


def test_sources_are_told_with_their_classes(recipe_file):
    shapes, views = draws_of(recipe_file, "source.0.masks=50").told()
    assert (shapes["benchmark"], shapes["part"], shapes["fold"], shapes["masks"], shapes["images"]) == ("shapes", "train", 0, 50.0, 12)
    assert shapes["classes"] == ["red", "green", "blue"]
    assert (views["benchmark"], views["classes"], views["images"]) == ("loose-views", ["object"], 12)
