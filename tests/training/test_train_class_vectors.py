"""Networks of class vectors trained by a recipe, on features of a small random backbone."""

import numpy as np
import pytest
import torch
from PIL import Image

import likewise
from likewise.episodes.classification.opening import open_classes
from likewise.errors import InputError, UsageError, WeightsError
from likewise.methods.classifiers.reading import whole_vectors
from likewise.training.loop import train
from likewise.training.preparing import prepare
from likewise.training.recipe import read_recipe
from likewise.training.record import read_log
from likewise.training.watching import Silent
from likewise.training.zero_shot import mean_by_class
from likewise.weights import read_card, read_checkpoint

RECIPE = """
seed = 3
episodes = 40
batch = 1
save = 20
[method]
name = "zero-shot-prototypical"
side = 56
width = 6
hidden = 40
related = 30
[backbone]
name = "random:vit-tiny-14"
engine = "torch"
features = "compute"
[data]
drawn = {folder}
[[source]]
data = "drawn"
[classes]
way = 3
query = 4
batch = 6
vectors = {vectors}
[optimiser]
rate = 3e-3
[validation]
data = "drawn"
every = 20
metric = "accuracy"
"""
METHODS = ("zero-shot-prototypical", "zero-shot-relation")
TINTS = {"red": (200, 60, 60), "green": (60, 200, 60), "blue": (60, 60, 200), "olive": (200, 200, 60), "teal": (60, 200, 200), "plum": (200, 60, 200)}


@pytest.fixture
def drawn(tmp_path):
    """Five pictures of each of six tints, whose vectors are their three colours: four train, two validate."""
    lines = ["class,r,g,b"]
    for number, (name, tint) in enumerate(TINTS.items()):
        folder = tmp_path / "drawn" / ("train" if number < 4 else "val") / name
        folder.mkdir(parents=True)
        lines.append(",".join([name, *(str(int(value > 100)) for value in tint)]))
        for copy in range(5):
            noise = np.random.default_rng([number, copy]).integers(-40, 40, (40, 44, 3))
            Image.fromarray(np.clip(np.array(tint) + noise, 0, 255).astype(np.uint8)).save(folder / f"{copy}.png")
    (tmp_path / "vectors.csv").write_text("\n".join(lines))
    return tmp_path


@pytest.fixture
def recipe_of(drawn):
    def read(*changes):
        path = drawn / "recipe.toml"
        path.write_text(RECIPE.format(folder=repr(f"classes:{drawn / 'drawn'}"), vectors=repr(str(drawn / "vectors.csv"))))
        return read_recipe(path, changes)

    return read


def prepared(recipe):
    return prepare(recipe, torch.device("cpu"), Silent())


@pytest.mark.parametrize("method", METHODS)
def test_a_trained_network_tells_tints_that_it_was_not_trained_on_by_the_same_method_from_the_checkpoint(method, recipe_of, drawn):
    outcome = train(recipe_of(f"method.name={method}", "episodes=120"), drawn / "run")
    losses = read_log(drawn / "run" / "losses.csv")
    assert sum(row["loss"] for row in losses[-5:]) < 0.8 * sum(row["loss"] for row in losses[:5])
    task = likewise.learn(
        likewise.Support([], class_vectors={"plum": [1, 0, 1], "teal": [0, 1, 1]}), method=method, checkpoint=outcome.checkpoint, device="cpu", engine="torch"
    )
    assert task.method.settings.side == 56
    said = {name: [task.predict(path).label for path in sorted((drawn / "drawn/val" / name).iterdir())] for name in ("teal", "plum")}
    right = [sum(label == name for label in labels) / len(labels) for name, labels in said.items()]
    assert 100 * sum(right) / 2 == pytest.approx(outcome.best.scores["accuracy"], abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_run_that_was_broken_off_ends_as_one_that_was_not(method, recipe_of, drawn):
    whole = train(recipe_of(f"method.name={method}"), drawn / "whole")
    count = 0

    class Break(Silent):
        def step(self, episodes, loss):
            nonlocal count
            count += 1
            if count == 25:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe_of(f"method.name={method}"), drawn / "broken", watcher=Break())
    parts = train(recipe_of(f"method.name={method}"), drawn / "broken")
    first, second = (read_checkpoint(each.checkpoint)[0] for each in (whole, parts))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_checkpoint_keeps_the_mean_of_the_training_pictures_and_its_card_the_backbone(recipe_of, drawn):
    recipe = recipe_of()
    outcome = train(recipe, drawn / "run")
    card = read_card(outcome.checkpoint)
    assert (card.method, card.backbone["name"], card.settings) == ("zero-shot-prototypical", "random:vit-tiny-14", {"side": 56})
    assert card.trained_on[0]["classes"] == ["blue", "green", "olive", "red"]
    ready = prepared(recipe)
    (spec,) = ready.trainable.wants()
    benchmark = open_classes(f"classes:{drawn / 'drawn'}")
    pictures = [benchmark.picture(item) for row in benchmark.part("train").items for item in row]
    rows = whole_vectors(ready.provider.extract([ready.provider.prepare(picture, (spec,)) for picture in pictures], spec))
    assert torch.allclose(read_checkpoint(outcome.checkpoint)[0]["centre"], rows.mean(dim=0), atol=1e-5)


def test_a_batch_is_compared_with_the_classes_that_it_shows(recipe_of):
    ready = prepared(recipe_of("method.name=zero-shot-relation", "classes.batch=3"))
    known = {"red": [1, 0, 0], "green": [0, 1, 0], "blue": [0, 0, 1], "olive": [1, 1, 0]}
    for index in range(4):
        batch = ready.episode(index, torch.device("cpu"))
        shown = [item.place.parent.name for item, _ in ready.draws.batch(index)]
        assert [batch.vectors[label].tolist() for label in batch.labels] == [known[name] for name in shown]
        assert len(batch.vectors) == len(set(shown))


def test_an_episode_is_of_so_many_pictures_of_each_of_its_classes(recipe_of):
    batch = prepared(recipe_of()).episode(0, torch.device("cpu"))
    assert batch.features.shape == (12, 96)
    assert batch.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert batch.vectors.shape == (3, 3)


def test_classes_without_a_vector_and_methods_without_vectors_are_refused_before_the_first_step(recipe_of, drawn):
    recipe = recipe_of()
    with pytest.raises(UsageError, match="learns from class vectors"):
        prepared(recipe.model_copy(update={"classes": recipe.classes.model_copy(update={"vectors": None})}))
    with pytest.raises(UsageError, match="no learner of class vectors is called 'prototypical'"):
        prepared(recipe_of("method.name=prototypical"))
    lines = (drawn / "vectors.csv").read_text().splitlines()
    (drawn / "few.csv").write_text("\n".join(lines[:-1]))
    with pytest.raises(InputError, match="no vector of plum"):
        prepared(recipe_of(f"classes.vectors={drawn / 'few.csv'}"))


def test_a_training_begins_from_a_checkpoint_of_its_own_alone(recipe_of, drawn):
    first = train(recipe_of(), drawn / "first")
    again = prepared(recipe_of(f"method.start={first.checkpoint}"))
    tensors = read_checkpoint(first.checkpoint)[0]
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in again.trainable.checkpoint().items())
    with pytest.raises(WeightsError, match="do not fit"):
        prepared(recipe_of(f"method.start={first.checkpoint}", "method.name=zero-shot-relation"))


def test_every_class_counts_alike_however_many_pictures_it_has():
    said, labels = torch.tensor([0, 0, 0, 0, 1]), torch.tensor([0, 0, 0, 2, 2])
    assert mean_by_class(said, labels) == pytest.approx(50)
