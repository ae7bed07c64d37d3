"""MM-Former under training: both stages learn, each its own part; a run goes on where it was killed."""

import json
from dataclasses import replace

import pytest
import torch
from mm_small import noise
from safetensors.torch import load_file

from likewise.backbones.features import ImageFeatures
from likewise.backbones.registry import RANDOM
from likewise.errors import UsageError, WeightsError
from likewise.methods.mm_former.training import trainable
from likewise.methods.trainable import TrainingEpisode
from likewise.testing.conformance import picture
from likewise.training.loop import train
from likewise.training.recipe import read_recipe
from likewise.training.watching import Silent

BACKBONE = replace(RANDOM["vit-tiny-14"], width=24)
SIZES = {"width": 32, "queries": 6, "encoder_layers": 1, "encoder_hidden": 40, "decoder_layers": 3, "decoder_hidden": 48, "matching_hidden": 28, "points": 150}
SETTINGS = {"side": 112, "layers": (0, 1, 2, 3), **SIZES}
GRID = (8, 8)
RECIPE = """
seed = 5
episodes = 16
batch = 4
save = 8
[method]
name = "mm-former"
stage = {stage}
side = 112
layers = [0, 1, 2, 3]
width = 32
queries = 6
encoder_layers = 1
encoder_hidden = 40
decoder_layers = 3
decoder_hidden = 48
matching_hidden = 28
points = 60
[backbone]
name = "random:vit-tiny-14"
features = "compute"
engine = "torch"
precision = "float32"
[data]
shapes = {folder}
[[source]]
data = "shapes"
"""


def view(top, left, kind, seed):
    """Features in which a square of patches looks otherwise than the rest, by its kind, and its mask."""
    shown = torch.zeros(GRID, dtype=torch.long)
    shown[top : top + 4, left : left + 4] = 1 + kind
    looks = 2 * torch.eye(24)[shown.flatten()] + 0.2 * noise(seed, 4, 64, 24)
    mask = (shown > 0).byte().repeat_interleave(4, 0).repeat_interleave(4, 1)
    return ImageFeatures(looks.half(), looks[:, :2].half(), GRID, (112, 112)), mask


def episode(seed=0, kind=0):
    query, query_mask = view(seed % 4, (seed + 1) % 4, kind, seed)
    support, support_mask = view((seed + 2) % 4, seed % 3, kind, seed + 50)
    return TrainingEpisode(query, support, True, support_mask, query_mask)


def made(stage=1, start=None, **changes):
    return trainable(BACKBONE, {**SETTINGS, "stage": stage, **changes}, seed=1, start=start)


def fit(own, episodes, steps, rate=3e-3):
    optimiser, losses = torch.optim.AdamW(own.parameters(), lr=rate), []
    for step in range(steps):
        optimiser.zero_grad()
        found = own.episode_loss(episodes[step % len(episodes)], torch.Generator().manual_seed(step))
        found["loss"].backward()
        torch.nn.utils.clip_grad_norm_(own.parameters(), 1.0)
        optimiser.step()
        losses.append(found["loss"].item())
    return losses


@pytest.fixture(scope="module")
def segmenter():
    """One that has seen an episode many times, and how its loss fell."""
    own = made()
    return own, fit(own, [episode()], 60)


def test_the_first_stage_learns_the_masks_of_an_episode(segmenter):
    own, losses = segmenter
    assert losses[-1] < 0.4 * losses[0]
    proposals = own._proposed(episode().query)[0] > 0.5
    small = torch.nn.functional.interpolate(proposals[None].float(), size=(32, 32))[0] > 0.5
    truth = episode().query_mask > 0
    assert max(float((mask & truth).sum() / (mask | truth).sum()) for mask in small) > 0.6


def test_the_first_stage_trains_the_segmenter_alone_and_its_checkpoint_holds_nothing_else(segmenter):
    own, _ = segmenter
    assert {name.split(".")[0] for name in own.checkpoint()} == {"segmenter"}
    assert all(not tensor.requires_grad for tensor in own.network.matching.parameters())
    assert own.method() is None


def test_the_second_stage_begins_with_the_segmenter_trains_the_matching_alone_and_finds_the_square(segmenter):
    first, _ = segmenter
    own = made(2, first.checkpoint())
    before = {name: tensor.clone() for name, tensor in own.checkpoint().items()}
    assert all(torch.equal(tensor, before[name]) for name, tensor in first.checkpoint().items())
    losses = fit(own, [episode()], 40)
    assert losses[-1] < 0.5 * losses[0]
    moved = {name for name, tensor in own.checkpoint().items() if not torch.equal(tensor, before[name])}
    assert moved
    assert all(name.startswith("matching.") for name in moved)
    assert {name.split(".")[1] for name in moved} == {*(f"{part}_{level}" for part in ("conv", "crossat") for level in range(3)), "fc1", "fc2"}


def test_the_method_of_the_second_stage_has_copies_and_the_settings_that_it_was_trained_with(segmenter):
    own = made(2, segmenter[0].checkpoint(), cross=False, within=False)
    method = own.method()
    assert (method.settings.cross, method.settings.within, method.settings.side, method.settings.layers) == (False, False, 112, (0, 1, 2, 3))
    with torch.no_grad():
        own.network.matching.get_submodule("fc2").bias.add_(1)
    assert not torch.equal(method._matcher.state_dict()["matching.fc2.bias"], own.checkpoint()["matching.fc2.bias"])


@pytest.mark.parametrize("name", ["cross", "within"])
def test_an_alignment_that_is_left_out_is_left_out_of_training(segmenter, name):
    start = segmenter[0].checkpoint()
    losses = [made(2, start, **{name: on}).episode_loss(episode(), torch.Generator())["loss"].item() for on in (True, False)]
    assert losses[0] != losses[1]
    if name == "cross":
        own = made(2, start, cross=False)
        own.episode_loss(episode(), torch.Generator())["loss"].backward()
        assert all(tensor.grad is None for part, tensor in own.network.matching.named_parameters() if part.startswith("crossat"))


def test_a_query_without_the_class_has_no_best_proposal(segmenter):
    absent = replace(episode(), query_mask=torch.zeros(32, 32, dtype=torch.uint8), present=False)
    found = made(2, segmenter[0].checkpoint()).episode_loss(absent, torch.Generator())
    assert found["contrast"] == 0
    assert found["dice"] > 0
    both = replace(absent, support_mask=torch.zeros(32, 32, dtype=torch.uint8))
    assert made().episode_loss(both, torch.Generator().manual_seed(0))["few_shot"] == 0


def test_unknown_pixels_are_no_target_and_count_in_no_dice(segmenter):
    plain = episode()
    hidden = plain.query_mask.clone()
    hidden[:, :8] = 255
    own = made(2, segmenter[0].checkpoint())
    sane = own.episode_loss(replace(plain, query_mask=hidden), torch.Generator())["dice"]
    published = made(2, segmenter[0].checkpoint(), official=True).episode_loss(replace(plain, query_mask=hidden), torch.Generator())["dice"]
    assert sane != published
    from likewise.methods.mm_former.training import _targets

    assert _targets(hidden).sum() == (hidden != 255).sum()
    assert len(_targets(torch.ones(4, 5))) == 1


def test_the_sizes_of_a_segmenter_are_those_of_the_start_whatever_the_recipe_says(segmenter):
    own = trainable(BACKBONE, {"stage": 2, "side": 112, "layers": (0, 1, 2, 3)}, start=segmenter[0].checkpoint())
    assert own.network.segmenter.config == segmenter[0].network.segmenter.config
    assert (own.network.matching.config.width, own.network.matching.config.proposals) == (32, 6)


def test_which_proposal_the_few_shot_loss_is_of_is_a_setting():
    one, two = (made(best=best).episode_loss(episode(), torch.Generator().manual_seed(0)) for best in (0, 1))
    assert one["mask"] == two["mask"]
    assert one["few_shot"] != two["few_shot"]


def test_training_goes_on_from_a_checkpoint_of_the_whole(segmenter):
    own = made(2, segmenter[0].checkpoint())
    fit(own, [episode()], 2)
    again = made(2, own.checkpoint())
    assert all(torch.equal(tensor, again.checkpoint()[name]) for name, tensor in own.checkpoint().items())


def test_what_cannot_be_trained_is_said():
    with pytest.raises(UsageError, match="no segmenter to match with"):
        made(2)
    with pytest.raises(UsageError, match="stage is 3"):
        made(3)
    with pytest.raises(UsageError, match="there are 3 layers"):
        made(layers=(0, 1, 2))
    with pytest.raises(UsageError, match="Take 64"):
        made(width=40)
    with pytest.raises(UsageError, match="no mask"):
        made().episode_loss(TrainingEpisode(episode().query, episode().support, True), torch.Generator())
    with pytest.raises(WeightsError, match="do not fit"):
        made(2, {**made().checkpoint(), "segmenter.pixels.level_embed": torch.zeros(2, 32)})
    with pytest.raises(WeightsError, match="no segmenter, or not all of it"):
        made(2, {"segmenter.pixels.level_embed": torch.zeros(3, 64)})


class Killed(Silent):
    """A watcher that breaks a run off after some episodes."""

    def step(self, episodes, loss):
        if episodes == 12:
            raise KeyboardInterrupt


@pytest.fixture
def folder(tmp_path):
    """Two classes, three pictures of each."""
    import numpy as np
    from PIL import Image

    place = tmp_path / "shapes"
    for name in ("images", "masks"):
        (place / name).mkdir(parents=True)
    for index in range(6):
        pixels, numbers = picture(index, 60, 66)
        Image.fromarray(pixels).save(place / "images" / f"{index}.png")
        Image.fromarray(np.where(numbers == 1, 1 + index % 2, 0).astype(np.uint8)).save(place / "masks" / f"{index}.png")
    (place / "dataset.json").write_text(json.dumps({"classes": {"1": "one", "2": "two"}, "split": {"train": ["one", "two"]}}))
    return place


def test_both_stages_run_by_recipes_and_one_that_was_killed_ends_with_the_same_weights(folder, tmp_path):
    def recipe(stage, *changes):
        path = tmp_path / f"stage{stage}.toml"
        path.write_text(RECIPE.format(stage=stage, folder=json.dumps(str(folder))))
        return read_recipe(path, changes)

    train(recipe(1), tmp_path / "one", watcher=Silent())
    start = f"method.start={tmp_path}/one/last.safetensors"
    train(recipe(2, start), tmp_path / "whole", watcher=Silent())
    with pytest.raises(KeyboardInterrupt):
        train(recipe(2, start), tmp_path / "cut", watcher=Killed())
    train(recipe(2, start), tmp_path / "cut", watcher=Silent())
    one, two = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "cut"))
    assert one.keys() == two.keys()
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())
    first = load_file(tmp_path / "one" / "last.safetensors")
    assert all(torch.equal(tensor, one[name]) for name, tensor in first.items())
