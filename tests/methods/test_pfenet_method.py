"""PFENet as a method: the answer from what is kept, several classes and images, the published defects, and what is refused."""

import numpy as np
import pytest
import torch
from pfenet_small import in_frame, learner, original
from pyramid_small import example, support, tagged
from safetensors.torch import save_file

import likewise
from likewise import Example
from likewise.backbones.features import ImageFeatures
from likewise.data.geometry import squash_image
from likewise.errors import InputError, UsageError
from likewise.functional.frame_losses import log_maps
from likewise.functional.resize import resize_nearest
from likewise.layers.fscs import decide_by_votes
from likewise.methods.pfenet import Pfenet
from likewise.methods.pfenet.checkpoint import learner_in, network_of
from likewise.methods.pfenet.maps import deep_under, picture_of, stages
from likewise.methods.pfenet.model import prior, scrambled, support_vector, under
from likewise.testing.conformance import picture

pytestmark = pytest.mark.filterwarnings("ignore:no example shows")

SIDE = 97
OWN = {"method": "pfenet", "device": "cpu", "side": SIDE}
TINY = {"method": "pfenet", "backbone": "random:vit-tiny-14", "device": "cpu", "engine": "torch", "precision": "float32", "side": 168}
SHOTS = ((0, 2), (1, 3))  # images of each class


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("pfenet") / "pfenet.safetensors"
    save_file(Pfenet.converted(in_frame()), path)
    return path


def examples(void=False):
    found = [example(index, (1 + place,)) for place, indices in enumerate(SHOTS) for index in indices]
    if void:
        labels = found[0].label_map.copy()
        labels[:5] = 255
        found[0] = Example(np.asarray(found[0].image), found[0].name, label_map=labels)
    return found


def published(path, query, *, mixed, valued):
    """Log maps (1, 1, N, 2, h, w) as the published code makes them, given all support images as a batch; mixed, valued: with its defects."""
    tensors = likewise.weights.read_checkpoint(path)[0]
    own, network = learner_in(tensors), network_of(tensors)

    def maps(pixels):
        square = torch.from_numpy(squash_image(np.asarray(pixels), (SIDE, SIDE)).copy()).permute(2, 0, 1)
        nothing = torch.zeros(0, 0, 0)
        return stages(network, picture_of(ImageFeatures(nothing, nothing, (0, 0), (SIDE, SIDE), pixels=square)))

    with torch.inference_mode():
        mine = maps(query)
        vectors, priors = [], []
        for k in range(2):
            deep, vector = [], []
            for place in range(2):
                one = examples()[2 * place + k]
                mask = resize_nearest(torch.from_numpy((one.label_map == place + 1).astype(np.float32)), (SIDE, SIDE))[None] * (place + 1 if valued else 1)
                theirs = maps(one.image)
                deep.append(under(deep_under(network.stages()[3], theirs, mask), mask))
                vector.append(support_vector(own.down_supp(theirs.middle), mask))
            vectors.append(torch.cat(vector))
            places = torch.cat(deep)
            priors.append(prior(mine.deep, scrambled(places)).expand(2, -1, -1, -1) if mixed else prior(mine.deep.expand(2, -1, -1, -1), places))
        logits, _ = own(own.down_query(mine.middle).expand(2, -1, -1, -1), torch.stack(vectors).mean(0), torch.stack(priors).mean(0))
        return log_maps(logits)[None, None]


@pytest.mark.parametrize("official", [True, False])
def test_two_classes_and_two_images_are_answered_as_described(checkpoint, official):
    query, size = picture(7, 60, 90)[0], (60, 90)
    maps = published(checkpoint, query, mixed=official, valued=official)
    expected, _, merged = decide_by_votes(maps, size)
    task = likewise.learn(support(*examples()), checkpoint=checkpoint, official=official, **OWN)
    prediction = task.predict(query)
    if official:
        assert (prediction.labels == expected.labels[0].numpy()).mean() > 0.999
        assert list(prediction.present.values()) == expected.present[0].float().tolist()
        assert np.abs(prediction.scores - torch.softmax(merged[0], dim=0).numpy()).max() < 1e-3
    surest = maps[0, 0, :, 1].flatten(1).amax(1).exp()
    if not official:
        assert list(prediction.present.values()) == pytest.approx(surest.tolist(), abs=1e-4)
    other = published(checkpoint, query, mixed=not official, valued=official)
    assert (other - maps).abs().max() > 1e-3  # the defect is seen


def test_where_pixels_are_to_be_ignored_the_number_of_a_class_does_not_weigh(checkpoint):
    plain = likewise.learn(support(*examples()), checkpoint=checkpoint, **OWN)
    weighing = likewise.learn(support(*examples()), checkpoint=checkpoint, official=True, **OWN)
    ignoring = likewise.learn(support(*examples(void=True)), checkpoint=checkpoint, official=True, **OWN)
    assert torch.equal(ignoring.memory.tensors["vectors"][1], plain.memory.tensors["vectors"][1])
    assert not torch.equal(weighing.memory.tensors["vectors"][1], plain.memory.tensors["vectors"][1])


def test_the_published_code_has_equally_many_images_of_each_class(checkpoint):
    with pytest.raises(InputError, match=r"the classes have 2, 1 images"):
        likewise.learn(support(*examples()[:3]), checkpoint=checkpoint, official=True, **OWN)
    alone = likewise.Support([example(0, (1,)), example(2, (1,))], classes={1: "red"})
    assert likewise.learn(alone, checkpoint=checkpoint, official=True, **OWN).memory.facts["shared"] == 0


def test_only_the_places_under_the_mask_are_kept_and_the_answer_is_that_of_all(checkpoint):
    half = np.zeros((100, 100), np.uint8)
    half[:30] = 1
    task = likewise.learn(support(Example(picture(3, 100, 100)[0], "a", label_map=half)), checkpoint=checkpoint, **OWN)
    deep = task.memory.tensors["pair.0.deep"]
    assert deep.shape[1] <= 5 * 13  # of 13 x 13
    assert bool(task.memory.tensors["pair.0.others"])
    assert not any(name.startswith(("learner", "backbone", "checkpoint")) for name in task.memory.tensors)


def test_the_original_network_is_read_with_its_deep_stem(tmp_path):
    save_file(Pfenet.converted(original()), tmp_path / "original.safetensors")
    task = likewise.learn(support(example(0, (1,))), checkpoint=tmp_path / "original.safetensors", bins=[13, 6, 3, 2], **OWN)
    assert task.predict(picture(7, 60, 90)[0]).size == (60, 90)
    with pytest.raises(UsageError, match="'bins' has 2 sides, the checkpoint 4"):
        likewise.learn(support(example(0, (1,))), checkpoint=tmp_path / "original.safetensors", bins=[13, 6], **OWN)


def test_on_tokens_two_layers_are_the_middle_maps_and_the_last_the_deep_one(tmp_path):
    save_file({f"learner.{name}": tensor for name, tensor in learner(channels=96).items()}, tmp_path / "tokens.safetensors")
    whole = Example(picture(0, 90, 120)[0], "a", label_map=np.ones((90, 120), np.uint8))
    task = likewise.learn(support(whole), checkpoint=tmp_path / "tokens.safetensors", **TINY)
    (features,) = task.ready().extract([task.prepare(np.asarray(whole.image))], task.method.wants()[0])
    tokens = features.tokens.float()
    torch.testing.assert_close(task.memory.tensors["pair.0.deep"], tokens[3].T, atol=1e-5, rtol=1e-5)
    middle = torch.cat([tokens[2], tokens[1]], dim=1)
    reduced = torch.relu(middle @ learner(channels=96)["down_supp.0.weight"][:, :, 0, 0].T).mean(dim=0)
    torch.testing.assert_close(task.memory.tensors["vectors"][0], reduced, atol=1e-4, rtol=1e-4)
    small = np.zeros((90, 120), np.uint8)
    small[31:34, 52:56] = 1  # less than a patch of the square
    task = likewise.learn(support(Example(picture(0, 90, 120)[0], "a", label_map=small)), checkpoint=tmp_path / "tokens.safetensors", **TINY)
    assert task.memory.tensors["pair.0.deep"].shape[1] == 1
    save_file({f"learner.{name}": tensor for name, tensor in learner(channels=90).items()}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="reads 90 channels, two layers of the backbone have 96"):
        likewise.learn(support(whole), checkpoint=tmp_path / "other.safetensors", **TINY)


def test_boxes_and_tags_become_masks_of_patches_and_without_tokens_a_tag_is_the_whole_image(checkpoint):
    pixels, _ = picture(0, 168, 168)
    boxed = Example(pixels, "a", boxes={"red": [(0, 0, 84, 84)]})
    task = likewise.learn(support(boxed, example(1, (1,))), checkpoint="random", **TINY)
    assert 0 < task.memory.tensors["pair.0.deep"].shape[1] <= 49
    task = likewise.learn(support(tagged(0, red=True), tagged(1, red=False, green=True)), checkpoint="random", **TINY)
    assert task.memory.facts["pair_class"] == [0, 1]
    own = likewise.learn(support(tagged(0, red=True)), checkpoint=checkpoint, **OWN)
    assert own.memory.tensors["pair.0.deep"].shape[1] == 13 * 13
    with pytest.raises(InputError, match="likewise refine"):
        likewise.learn(support(boxed), checkpoint=checkpoint, **OWN)


def test_a_task_finds_its_checkpoint_again_and_grows(tmp_path, checkpoint, monkeypatch):
    monkeypatch.setenv("LIKEWISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LIKEWISE_WEIGHTS", str(checkpoint.parent))
    task = likewise.learn(support(*examples()[1:3]), checkpoint=checkpoint, **OWN)
    query = picture(7, 60, 90)[0]
    opened = likewise.load(task.save(tmp_path / "a.task"), device="cpu")
    assert np.array_equal(opened.predict(query).labels, task.predict(query).labels)
    grown = opened.update(support(example(4, (1,))))
    anew = likewise.learn(support(*examples()[1:3], example(4, (1,))), checkpoint=checkpoint, **OWN)
    assert all(torch.equal(tensor, anew.memory.tensors[name]) for name, tensor in grown.memory.tensors.items())
