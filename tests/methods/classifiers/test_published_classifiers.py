"""Published checkpoints of the classic learners, from their files to an answer."""

import numpy as np
import pytest
import torch

import likewise
from likewise.backbones.encoders import new_encoder
from likewise.cli import main
from likewise.episodes.classification.opening import open_classes
from likewise.errors import WeightsError
from likewise.methods.classifiers.matching_model import FullContext
from likewise.methods.registry import method_class
from likewise.testing.conformance import BACKBONE


def drawings(count):
    """Square drawings (28, 28, 3), dark on bright."""
    random = np.random.default_rng(3)
    return [np.repeat(np.where(random.random((28, 28, 1)) < 0.2, 0, 255).astype(np.uint8), 3, axis=2) for _ in range(count)]


def closer_look(name, seed=0):
    """The encoder as those authors store it: behind `feature.`, every block of a Conv twice."""
    state = {f"feature.{key}": tensor for key, tensor in new_encoder(name, seed=seed).state_dict().items()}
    twice = {key.replace(".C.", ".trunk.0.").replace(".BN.", ".trunk.1."): tensor for key, tensor in state.items() if ".C." in key or ".BN." in key}
    return state | twice


@pytest.mark.parametrize(
    ("method", "encoder", "told"),
    [
        ("prototypical", "conv4", {"encoder": "conv4"}),
        ("baseline++", "conv6", {"encoder": "conv6"}),
        ("matching", "conv4s", {"encoder": "conv4s"}),
        ("baseline", "resnet18", {"encoder": "resnet18"}),
        ("relation", "resnet10map", {"encoder": "resnet10map"}),
        ("relation", "conv4snp", {"encoder": "conv4snp"}),
    ],
)
def test_a_checkpoint_tells_its_encoder_and_blocks_are_read_once(method, encoder, told):
    official = closer_look(encoder) | {"classifier.weight": torch.zeros(2, 3)}
    kind = method_class(method)
    assert kind.published(official) == (told, "")
    assert set(kind.converted(official)) == {f"feature.{name}" for name in new_encoder(encoder, seed=0).state_dict()}


def test_full_context_embeddings_come_along():
    official = closer_look("conv4s") | FullContext(64).state_dict()
    assert {name.split(".")[0] for name in method_class("matching").converted(official)} == {"feature", "FCE", "G_encoder"}


def test_a_file_of_the_authors_becomes_one_that_says_how_it_is_used(tmp_path, capsys):
    torch.save({"epoch": 3, "state": closer_look("conv4s")}, tmp_path / "best_model.tar")
    assert main(["weights", "convert", "prototypical", str(tmp_path / "best_model.tar"), str(tmp_path / "own.safetensors")]) == 0
    capsys.readouterr()
    images = drawings(3)
    support = likewise.Support([likewise.Example(image, str(place), label=str(place)) for place, image in enumerate(images[:2])])
    task = likewise.learn(support, method="prototypical", checkpoint=tmp_path / "own.safetensors", backbone=BACKBONE, device="cpu", engine="torch")
    assert task.method.settings.encoder == "conv4s"
    assert task.predict(images[1]).label == "1"


@pytest.fixture
def original(shared):
    """The relation network that its authors trained: its tensors, and its accuracy in each of Lake's runs in evaluation mode."""
    content = np.load(shared / "golden/fs_relation_trained_20way1shot.npz")
    tensors = {name.removeprefix("in.weights."): torch.from_numpy(content[name]) for name in content.files if name.startswith("in.weights.")}
    return tensors, content["out.eval.accuracy"]


def test_the_original_relation_network_is_as_right_as_by_its_own_code_in_lakes_runs(original, shared, tmp_path):
    official, accuracy = original
    torch.save(official, tmp_path / "omniglot.pkl")
    assert main(["weights", "convert", "relation", str(tmp_path / "omniglot.pkl"), str(tmp_path / "own.safetensors")]) == 0
    lake = open_classes(f"lake:{shared / 'data/omniglot_mini'}")
    for place in (0, 7):
        run = lake.fixed[place]
        examples = [likewise.Example(lake.picture(row[0]), f"class {way}", label=f"class {way}") for way, row in enumerate(run.support)]
        task = likewise.learn(
            likewise.Support(examples), method="relation", checkpoint=tmp_path / "own.safetensors", backbone=BACKBONE, device="cpu", engine="torch"
        )
        right = [task.predict(lake.picture(item)).label == f"class {way}" for way, row in enumerate(run.query) for item in row]
        assert 100 * sum(right) / len(right) == pytest.approx(float(accuracy[place]))


def test_the_original_relation_network_is_read_with_its_sums_and_its_pixels(original):
    official, _ = original
    kind = method_class("relation")
    settings, _ = kind.published(official)
    assert settings == {"encoder": "conv4snp", "pixels": "paper", "whole": True, "summed": True}
    kind(kind.Settings(**settings)).equipped(kind.converted(official))


def test_what_holds_no_encoder_is_refused():
    with pytest.raises(WeightsError, match="no encoder"):
        method_class("prototypical").converted({"head.weight": torch.zeros(2, 3)})
