"""Training on prompted episodes: what an episode is, the loss falls and answers are right, a run that was killed goes on as if nothing had been."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from likewise.episodes.opening import open_benchmark
from likewise.episodes.prompted.simulation import KINDS, Chance
from likewise.errors import InputError, UsageError
from likewise.methods.label_anything.config import HeadConfig
from likewise.methods.label_anything.model import untrained_head
from likewise.methods.label_anything.training import begin_alike
from likewise.methods.trainable import PromptedTrainingBatch
from likewise.training.joining import Rectangle, divided, joined, window
from likewise.training.loop import BEST, LAST, LOSSES, train
from likewise.training.preparing import prepare
from likewise.training.prompted import UNKNOWN, PromptedDraws, prompts_of, truth_of
from likewise.training.recipe import PromptsSection, read_recipe
from likewise.training.record import read_log
from likewise.training.watching import Silent
from likewise.weights import read_card

RECIPE = """
seed = 5
episodes = 12
batch = 2
save = 4
[method]
name = "label-anything"
side = 56
width = 16
hidden = 24
heads = 2
shrink = 2
spatial = 2
pool = 6
mixers = ["class_example_attention"]
[backbone]
name = "random:vit-tiny-14"
features = "compute"
engine = "torch"
precision = "float32"
[data]
shapes = {shapes}
views = {views}
[prompts]
batches = [[2, 2, 1], [1, 1, 3]]
joined = 0.5
joined_support = 0.5
mirrored = 0.5
[[source]]
data = "shapes"
share = 2
[[source]]
data = "views"
ways = 1
[optimiser]
rate = 3e-3
[validation]
data = "shapes"
every = 6
episodes = 4
"""


@pytest.fixture
def prompted_file(tmp_path, shapes, loose):
    path = tmp_path / "prompted.toml"
    path.write_text(RECIPE.format(shapes=json.dumps(str(shapes)), views=json.dumps(f"views:{loose}")))
    return path


def drawn_by(recipe):
    return PromptedDraws(recipe, {name: open_benchmark(text) for name, text in recipe.data.items()})


def same(one, two):
    left, right = load_file(one), load_file(two)
    return left.keys() == right.keys() and all(torch.equal(tensor, right[name]) for name, tensor in left.items())


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_picture_is_divided_without_gaps_or_overlap(count):
    covered = np.zeros((9, 7), int)
    for part in divided(Rectangle(0, 0, 9, 7), count, np.random.default_rng(count)):
        covered[part.slices] += 1
    assert (covered == 1).all()


def test_a_window_keeps_much_of_the_object():
    objects = np.zeros((8, 8), int)
    objects[5:8, 6:8] = 10
    for seed in range(20):
        own = window(objects, 4, 3, np.random.default_rng(seed))
        assert objects[own.slices].sum() >= 0.6 * objects.sum()


@pytest.mark.parametrize("mirrored", [0.0, 1.0])
def test_tokens_and_labels_are_joined_alike(mirrored):
    cells = [torch.arange(36).reshape(6, 6, 1) + 100 * picture for picture in range(3)]
    pictures = [(tokens, tokens[..., 0].repeat_interleave(4, 0).repeat_interleave(4, 1) + 1) for tokens in cells]
    tokens, labels = joined(pictures, np.random.default_rng(2), void=-1, mirrored=mirrored)
    assert torch.equal(labels, tokens[..., 0].repeat_interleave(4, 0).repeat_interleave(4, 1) + 1)
    assert {int(value) // 100 for value in tokens.flatten()} == {0, 1, 2}
    right = tokens[:, 1:, 0] - tokens[:, :-1, 0]
    assert (right == (-1 if mirrored else 1)).float().mean() > 0.5


def test_the_same_index_gives_the_same_batch_and_the_query_is_never_among_its_supports(prompted_file):
    recipe = read_recipe(prompted_file)
    one, two = drawn_by(recipe), drawn_by(recipe)
    sizes, joined_queries = set(), 0
    for index in range(40):
        batch = one[index]
        assert batch.episodes == two[index].episodes
        for episode in batch.episodes:
            sizes.add((len(batch.episodes), len(episode.numbers), len(episode.support)))
            assert list(episode.numbers) == sorted(set(episode.numbers))
            assert not {names[0] for names in episode.support} & {*episode.query}
            joined_queries += len(episode.query) > 1
    assert sizes == {(2, 2, 2), (1, 1, 3), (2, 1, 1)}  # of views one class at once
    assert joined_queries > 5


def test_every_support_shows_its_class_and_pictures_of_a_source_of_one_way_stay_whole(prompted_file, shapes):
    recipe = read_recipe(prompted_file, ["source.0.classes=['red', 'blue']", "source.0.most=3"])
    draws = drawn_by(recipe)
    for index in range(30):
        batch = draws[index]
        for episode in batch.episodes:
            if batch.benchmark.name == "shapes":
                assert set(episode.numbers) <= {1, 3}
                firsts = {int(value) for names in episode.support for value in np.unique(batch.benchmark.labels(names[0]))}
                assert set(episode.numbers) <= firsts
                assert not any(name.endswith("_3") for names in (episode.query, *episode.support) for name in names)
            else:
                assert all(len(names) == 1 for names in (episode.query, *episode.support))


def test_classes_are_painted_by_their_place_and_others_are_background():
    labels = torch.tensor([[9, 4, 0], [255, 7, 4]])
    assert truth_of(labels, (4, 9)).tolist() == [[2, 1, 0], [UNKNOWN, 0, 1]]


@pytest.mark.parametrize("kind", KINDS)
def test_prompts_are_of_the_kinds_asked_for_and_lie_on_their_class(kind):
    labels = np.zeros((30, 42), np.int16)
    labels[3:9, 4:20], labels[20:28, 30:40], labels[12:16, 2:8] = 6, 6, 8
    found = prompts_of(labels, (6, 8, 9), (kind,), Chance.seeded(3), noisy=False)
    if kind == "mask":
        assert {number: int(mask.sum()) for number, mask in found.masks.items()} == {6: 96 + 80, 8: 24}
        assert not found.positive
        assert not found.boxes
    elif kind == "bbox":
        assert sorted(found.boxes[6].tolist()) == [[4, 3, 20, 9], [30, 20, 40, 28]]
        assert not found.positive
        assert not found.masks
    else:
        assert all(labels[int(y), int(x)] == number for number, points in found.positive.items() for x, y in points)
        assert {*found.positive} == {6, 8}


def test_a_subset_for_the_batch_is_the_same_for_all_its_episodes(prompted_file):
    alike = [{episode.kinds for episode in drawn_by(read_recipe(prompted_file, ["prompts.subset=batch"]))[index].episodes} for index in range(30)]
    assert all(len(kinds) == 1 for kinds in alike)
    assert len(set.union(*alike)) > 3
    masks = drawn_by(read_recipe(prompted_file, ["prompts.kinds=['mask']"]))
    assert {episode.kinds for index in range(9) for episode in masks[index].episodes} == {("mask",)}


@pytest.mark.parametrize("how", ["method.official=false", "method.official=true", "method.begin=alike"])
def test_a_tiny_batch_is_learned_by_heart_and_answered_rightly(prompted_file, how):
    changes = [how, "prompts.joined=1.0", "prompts.mirrored=0.0", "prompts.batches=[[2, 2, 1]]", "source.1.share=1e-9"]
    ready = prepare(read_recipe(prompted_file, changes), torch.device("cpu"), Silent())
    batch = ready.episode(2, torch.device("cpu"))
    optimiser = torch.optim.Adam([parameter for parameter in ready.trainable.parameters() if parameter.requires_grad], 5e-3)
    losses = []
    for step in range(70):
        optimiser.zero_grad()
        loss = ready.trainable.episode_loss(batch, torch.Generator().manual_seed(step))["loss"]
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.4 * losses[0]
    with torch.no_grad():
        logits = torch.nn.functional.interpolate(ready.trainable.logits(batch), (56, 56), mode="bilinear")
    truth = torch.stack([episode.truth for episode in batch.episodes])
    known = truth != UNKNOWN
    assert (logits.argmax(dim=1) == truth)[known].float().mean() > 0.85
    assert {1, 2} <= set(truth[0].unique().tolist())  # a joined query shows both


def test_a_head_that_begins_alike_hides_what_is_outside_of_a_mask():
    head = untrained_head(HeadConfig(encoder_width=24, width=16, side=64, patch=8, heads=2, hidden=20))
    begin_alike(head)
    masks = torch.zeros(1, 32, 32)
    masks[0, 8:24, 12:28] = 1
    maps = head.prompt_encoder.dense(masks, torch.ones(1), 8)[0].detach()
    inside, outside = maps[:, 3:5, 4:6], maps[:, 0, 0]
    assert float(inside.abs().max()) < 1e-4
    assert float(outside.std()) == pytest.approx(4, rel=1e-3)


def test_the_loss_of_a_batch_weighs_classes_by_all_its_queries(prompted_file):
    changes = ["prompts.batches=[[2, 1, 1]]", "source.1.share=1e-9", "method.pool=0", "method.mixers=[]"]
    ready = prepare(read_recipe(prompted_file, changes), torch.device("cpu"), Silent())
    batch = ready.episode(1, torch.device("cpu"))
    alone = [PromptedTrainingBatch((episode,)) for episode in batch.episodes]
    generator = torch.Generator()
    whole = float(ready.trainable.episode_loss(batch, generator)["loss"].detach())
    parts = [float(ready.trainable.episode_loss(one, generator)["loss"].detach()) for one in alone]
    assert min(parts) < whole < max(parts)
    assert whole != pytest.approx(np.mean(parts), rel=1e-4)


def test_a_run_that_was_broken_off_goes_on_to_the_same_bytes(prompted_file, tmp_path):
    recipe = read_recipe(prompted_file)
    train(recipe, tmp_path / "whole")

    class BrokenOffError(Exception):
        pass

    class Breaker(Silent):
        def step(self, episodes, loss):
            if episodes == 10:
                raise BrokenOffError

    with pytest.raises(BrokenOffError):
        train(recipe, tmp_path / "broken", watcher=Breaker())
    assert not (tmp_path / "broken" / LAST).exists()
    train(recipe, tmp_path / "broken")
    assert all(same(tmp_path / "whole" / name, tmp_path / "broken" / name) for name in (LAST, BEST))
    assert (tmp_path / "whole" / LOSSES).read_text() == (tmp_path / "broken" / LOSSES).read_text()


def test_a_checkpoint_knows_how_it_is_used_and_labels_several_classes(prompted_file, tmp_path, shapes):
    from likewise.task.equipping import equip

    outcome = train(read_recipe(prompted_file), tmp_path / "run")
    card = read_card(outcome.checkpoint)
    assert (card.method, card.settings) == ("label-anything", {"side": 56, "heads": 2})
    assert [source["benchmark"] for source in card.trained_on] == ["shapes", "loose-views"]
    assert len(read_log(tmp_path / "run" / LOSSES)) == 6
    equipped = equip("label-anything", "fast", {}, outcome.checkpoint)
    assert equipped.method.settings.side == 56
    assert equipped.backbone == "random:vit-tiny-14"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("method.side=60", "patches have 14 pixels"),
        ("method.width=20", "multiple of 8"),
        ("method.shrink=3", "divisor of the width"),
        ("method.mixers=['class_atention']", "class_attention"),
        ("method.begin=alik", "alike"),
        ("method.widthh=16", "width"),
        ("source.0.classes=['rad']", "red"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_before_anything_slow(prompted_file, change, told):
    with pytest.raises(UsageError, match=told):
        prepare(read_recipe(prompted_file, [change]), torch.device("cpu"), Silent())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("prompts.batches=[[2, 0, 1]]", "at least one episode"),
        ("prompts.kinds=['masks']", "kinds"),
        ("prompts.joind=0.5", "joined"),
        ("source.0.masks=50", "prompted episodes need masks"),
        ("source.0.most=1", "greater than 1"),
    ],
)
def test_recipes_with_wrong_prompts_are_refused(prompted_file, change, told):
    with pytest.raises(InputError, match=told):
        read_recipe(prompted_file, [change])


def test_methods_and_sections_must_fit(prompted_file, recipe_file):
    recipe = read_recipe(prompted_file)
    without = recipe.model_copy(update={"prompts": None})
    with pytest.raises(UsageError, match="learns from prompts"):
        prepare(without, torch.device("cpu"), Silent())
    cst = read_recipe(recipe_file).model_copy(update={"prompts": PromptsSection()})
    with pytest.raises(UsageError, match="learns from masks alone"):
        prepare(cst, torch.device("cpu"), Silent())
    with pytest.raises(InputError, match=r"there is no \[prompts\]"):
        read_recipe(recipe_file, ["source.0.ways=1"])
