"""The recipes that are shipped: each is whole, and the method takes its settings."""

from pathlib import Path

import pytest

from likewise.backbones.registry import ARCHITECTURES
from likewise.errors import UsageError
from likewise.methods.registry import method_class
from likewise.training.recipe import read_recipe

RECIPES = sorted((Path(__file__).parents[2] / "recipes").rglob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
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


def test_every_published_setting_has_a_recipe():
    expected = {"pascal-pixel", "pascal-image", "pascal-mixed", "pascal-enhancer", "coco-pixel", "coco-image"}
    assert expected <= {path.stem for path in RECIPES}
