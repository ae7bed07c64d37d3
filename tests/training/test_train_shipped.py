"""The recipes that are shipped: each is whole, and the method takes its settings."""

from pathlib import Path

import pytest
import torch

from likewise.backbones.encoders import new_encoder
from likewise.backbones.registry import ARCHITECTURES
from likewise.episodes.classification.opening import names_classes
from likewise.errors import UsageError
from likewise.methods.classifiers.training_table import TABLE, class_trainable
from likewise.methods.classifiers.zero_shot_training import TABLE as OF_VECTORS
from likewise.methods.registry import method_class
from likewise.training.recipe import read_recipe

RECIPES = sorted((Path(__file__).parents[2] / "recipes").rglob("*.toml"))
OF_CLASSES = [path for path in RECIPES if path.parent.name == "classifiers" and not path.name.startswith("zero-shot")]


@pytest.mark.parametrize("path", [path for path in RECIPES if path.parent.name != "classifiers"], ids=lambda path: path.stem)
def test_a_shipped_recipe_is_whole_and_its_method_takes_it(path):
    recipe = read_recipe(path)
    method, backbone, settings = method_class(recipe.method.name), ARCHITECTURES["dino-small-8"], recipe.method.settings
    start = method.trainable(backbone, {**settings, "stage": 1}).checkpoint() if settings.get("stage") == 2 else None  # a second stage needs the first
    if path.parent.name == "panet":  # all that it trains is the network that the recipe starts from, which is not there
        with pytest.raises(UsageError, match="network of its own, and none is given to begin from"):
            method.trainable(backbone, settings, seed=recipe.seed)
        return
    trainable = method.trainable(backbone, settings, seed=recipe.seed, start=start)
    assert next(trainable.parameters()).requires_grad
    assert trainable.method() is not None or recipe.validation is None
    assert f"likewise train recipes/{path.parent.name}/{path.name}" in path.read_text()


@pytest.mark.parametrize("path", OF_CLASSES, ids=lambda path: path.stem)
def test_a_shipped_recipe_of_classes_is_whole_and_its_learner_takes_it(path):
    recipe = read_recipe(path)
    encoder = recipe.method.settings.get("encoder", "conv4s")
    start = new_encoder(encoder, seed=0).state_dict() if recipe.method.name == "hallucinator" else None
    with torch.device("meta" if recipe.method.name == "siamese" else "cpu"):  # the published one has 39 M numbers
        trainable = class_trainable(recipe.method.name, recipe.method.settings, 12, start=start)
    assert recipe.classes is not None
    assert trainable.n_way in (None, recipe.classes.way)
    assert all(names_classes(text) or text.startswith("../shared") for text in recipe.data.values())
    assert f"likewise train recipes/classifiers/{path.name}" in path.read_text()


def test_every_learner_of_classes_has_a_recipe():
    assert {read_recipe(path).method.name for path in OF_CLASSES} == set(TABLE)
    assert {read_recipe(path).method.name for path in RECIPES if path.name.startswith("zero-shot")} == set(OF_VECTORS)


def test_every_published_setting_has_a_recipe():
    expected = {"pascal-pixel", "pascal-image", "pascal-mixed", "pascal-enhancer", "coco-pixel", "coco-image"}
    assert expected <= {path.stem for path in RECIPES}
