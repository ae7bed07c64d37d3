"""Training on dense episodes: the loss falls, targets that are not trained are learned too, a run that was killed goes on as if nothing had been."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from likewise import learn
from likewise.backbones import FeatureProvider, load_backbone
from likewise.backbones.features import ImageFeatures
from likewise.data import Example, Support, Target
from likewise.episodes.dense import MASK
from likewise.errors import InputError, UsageError
from likewise.methods.trainable import DenseTrainingEpisode
from likewise.training.dense import DenseDraws, DenseFeatures, SkillMeter
from likewise.training.loop import BEST, LAST, LOSSES, VALIDATIONS, train
from likewise.training.preparing import prepare
from likewise.training.recipe import read_recipe
from likewise.training.record import read_log
from likewise.training.sources import EpisodeFeatures
from likewise.training.watching import Silent
from likewise.weights import read_card

RECIPE = """
seed = 5
episodes = 24
batch = 4
save = 8
[method]
name = "vtm"
side = 56
width = 12
heads = 3
matching_heads = 2
reassembled = [4, 6, 8, 10]
fused = 8
[backbone]
name = "random:vit-tiny-14"
features = "compute"
engine = "torch"
precision = "float32"
[data]
shapes = {shapes}
loose = {loose}
[dense]
targets = ["mask", "colour", "contrast"]
shot = 2
query = 1
[[source]]
data = "shapes"
share = 3
[[source]]
data = "loose"
[optimiser]
rate = 3e-3
[validation]
data = "shapes"
targets = ["saliency", "corners"]
metric = "skill"
every = 12
episodes = 6
shot = 2
"""


@pytest.fixture
def dense_recipe(tmp_path, shapes, loose):
    path = tmp_path / "dense.toml"
    path.write_text(RECIPE.format(shapes=json.dumps(str(shapes)), loose=json.dumps(f"pictures:{loose}/images")))
    return path


def changed(path, *changes):
    return read_recipe(path, changes)


def test_the_loss_falls_and_the_checkpoint_is_one_that_the_method_takes(dense_recipe, tmp_path):
    outcome = train(
        changed(dense_recipe, "episodes=120", "validation.every=120", "dense.altered=false", "dense.targets=['colour']", "dense.mixed=0"), tmp_path / "run"
    )
    assert outcome.losses[1] < 0.8 * outcome.losses[0]
    card = read_card(outcome.checkpoint)
    assert card.method == "vtm"
    assert card.settings == {"label_heads": 3, "matching_heads": 2}
    assert [(source["benchmark"], source["targets"]) for source in card.trained_on] == [("shapes", ["colour"]), ("images", ["colour"])]
    pictures = np.random.default_rng(2).integers(0, 255, (3, 60, 75, 3), np.uint8)
    examples = [Example(picture, name=str(index), dense={"light": picture.mean(axis=2) / 255}) for index, picture in enumerate(pictures)]
    task = learn(Support(examples, targets={"light": Target(kind="soft_mask")}), method="vtm", checkpoint=outcome.checkpoint, engine="torch", device="cpu")
    assert task.predict(pictures[0]).dense["light"].shape[:2] == (60, 75)


def test_a_run_that_was_broken_off_goes_on_to_the_same_bytes(dense_recipe, tmp_path):
    class Broken(Silent):
        def step(self, episodes, loss):
            if episodes == 20:
                raise KeyboardInterrupt

    train(changed(dense_recipe), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(changed(dense_recipe), tmp_path / "broken", watcher=Broken())
    assert not (tmp_path / "broken" / LAST).exists()
    train(changed(dense_recipe), tmp_path / "broken")
    for name in (LAST, BEST, LOSSES, VALIDATIONS):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    columns = read_log(tmp_path / "whole" / VALIDATIONS)[0].keys()
    assert {"skill", "saliency", "corners"} < {*columns}


def test_only_the_head_is_trained_and_all_of_it(dense_recipe, tmp_path):
    train(changed(dense_recipe, "episodes=4"), tmp_path / "short")
    train(changed(dense_recipe), tmp_path / "long")
    short, long = (load_file(tmp_path / name / LAST) for name in ("short", "long"))
    assert {name.split(".")[0] for name in long} == {"label", "matching", "decoder"}
    still = {name for name, tensor in long.items() if torch.equal(tensor, short[name])}
    assert still <= {name for name in long if name.startswith("label.norm")}


def test_cached_features_give_the_same_weights(dense_recipe, tmp_path):
    train(changed(dense_recipe, "episodes=8"), tmp_path / "computed")
    train(changed(dense_recipe, "episodes=8", "backbone.features=cache", f"backbone.folder={tmp_path / 'kept'}"), tmp_path / "cached")
    assert any((tmp_path / "kept").rglob("*.safetensors"))
    one, two = (load_file(tmp_path / name / LAST) for name in ("computed", "cached"))
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def test_an_episode_has_the_tokens_that_the_method_itself_would_see(dense_recipe):
    ready = prepare(changed(dense_recipe), torch.device("cpu"), Silent())
    draws, features = ready.draws, DenseFeatures(EpisodeFeatures(FeatureProvider(load_backbone("random:vit-tiny-14"), engine="torch"), ready.trainable.wants()))
    assert isinstance(draws, DenseDraws)
    episode = features(draws[3], torch.device("cpu"))
    assert (len(episode.support), len(episode.query)) == (2, 1)
    assert episode.support_values.shape == episode.support_known.shape == (1, 2, 56, 56)
    assert episode.categorical == (draws[3].episode.channels[0].target.family == MASK,)
    vtm = ready.trainable.method().mounted(ready.provider.backbone)._vtm
    prepared = ready.provider.prepare(draws[3].benchmark.source(draws[3].episode.query[0]), ready.trainable.wants())
    view = torch.from_numpy(next(iter(prepared.views.values())).copy()).movedim(-1, 0)[None].float() / 255
    for own, level in zip(episode.query[0].tokens, vtm.image_tokens(view), strict=True):
        torch.testing.assert_close(own.float(), level[0], atol=0.02, rtol=0.01)


def test_pictures_without_labels_give_no_masks(dense_recipe):
    ready = prepare(changed(dense_recipe), torch.device("cpu"), Silent())
    families = {(drawn.benchmark.name, drawn.episode.channels[0].target.family) for drawn in (ready.draws[index] for index in range(24))}
    assert {name for name, family in families if family == MASK} == {"shapes"}
    assert {name for name, _ in families} == {"shapes", "images"}


def test_skill_is_0_for_the_mean_of_the_support_and_100_for_the_truth():
    nothing = ImageFeatures(torch.zeros(0), torch.zeros(0), (2, 3), (4, 6))
    values, known = torch.tensor([[[[0.2, 0.6, 0.0]]]]), torch.tensor([[[[1.0, 1.0, 0.0]]]])
    truth, seen = torch.tensor([[[[0.0, 1.0, 0.5]]]]), torch.tensor([[[[1.0, 1.0, 0.0]]]])
    episode = DenseTrainingEpisode((nothing,), (nothing,), values, known, truth, seen, (False,))
    for answer, skill in ((torch.full((1, 1, 1, 3), 0.4), 0.0), (truth, 100.0), (torch.tensor([[[[0.0, 0.5, 9.0]]]]), 50.0)):
        meter = SkillMeter(("a",))
        meter.update("a", answer, episode)
        assert meter.compute() == pytest.approx({"skill": skill, "a": skill}, abs=1e-5)


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        (["dense.targets=['txture']"], UsageError, "did you mean 'texture'"),
        (["validation.targets=['colour']"], UsageError, "trained and validated"),
        (["validation.metric=miou"], InputError, "skill"),
        (["validation.targets=[]"], InputError, "validation.targets"),
        (["source.0.masks=5"], InputError, "leave them out"),
        (["dense.shot=20"], InputError, "an episode takes 21"),
        (["method.name=cst", "method={name='cst'}"], UsageError, "learns no dense targets"),
        (["method.side=60"], UsageError, "Take 56"),
        (["method.reassembled=[1, 2]"], UsageError, "Give four"),
        (["method.with=3"], UsageError, "did you mean 'width'"),
        (["source.1.data=loose", "dense.targets=['mask']"], UsageError, "no labels"),
    ],
)
def test_what_a_recipe_names_is_checked_before_the_first_step(dense_recipe, tmp_path, changes, kind, words):
    with pytest.raises(kind, match=words):
        train(changed(dense_recipe, *changes), tmp_path / "run")


def test_a_method_of_dense_targets_is_not_trained_on_classes(dense_recipe, tmp_path):
    text = dense_recipe.read_text()
    dense_recipe.write_text(text[: text.index("[dense]")] + text[text.index("[[source]]") : text.index("[validation]")])
    with pytest.raises(UsageError, match="dense targets alone"):
        train(changed(dense_recipe, f"data.loose={json.loads(json.dumps(str(tmp_path / 'shapes')))}"), tmp_path / "run")
