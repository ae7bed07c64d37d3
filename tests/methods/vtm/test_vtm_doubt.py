"""What is to be expected of other pictures: examples answered without themselves, and pictures that are strange."""

from dataclasses import replace

import pytest
import torch
from vtm_small import noise, small_vtm, some_biases

from likewise.data import Target
from likewise.methods.vtm.channels import Channels, Component
from likewise.methods.vtm.doubt import LeftOut, confidence, expectations, left_out
from likewise.methods.vtm.pooling import Pooling
from likewise.methods.vtm.tuning import Labelled, fitted

SIDE, GRID = 48, 6


def examples(pictures, channels=2):
    count = len(pictures)
    labels = noise(2, channels, count, SIDE, SIDE)
    known = (noise(3, channels, count, SIDE, SIDE) > 0.1).float()
    return Labelled(noise(1, count, 3, SIDE, SIDE), labels, known, torch.zeros(channels, dtype=torch.bool), pictures=pictures)


def found(vtm, data, biases=None):
    with torch.no_grad():
        return left_out(vtm, vtm.encoded(data.images, data.seen, biases), data, 3)


@pytest.mark.parametrize("fineness", ["patch", "region", "global"])
def test_an_example_is_answered_as_by_a_task_that_never_saw_it(fineness):
    vtm, data = replace(small_vtm(), pooling=Pooling(fineness, 2)), examples((0, 1, 2))
    biases = some_biases(vtm, 2)
    rows = found(vtm, data, biases).values.reshape(2, 3, GRID, GRID)
    with torch.no_grad():
        others = data.subset(torch.tensor([0, 2]))
        logits = vtm.logits(data.images[1:2], vtm.remember(others.images, others.seen, biases)).transpose(0, 1)
    answer, known = fitted(logits, data.labels[:, 1:2]).sigmoid()[:, 0], data.known[:, 1]
    means = [torch.nn.functional.avg_pool2d(each, SIDE // GRID) for each in (answer * known, known)]
    torch.testing.assert_close(rows[:, 1], means[0] / means[1], atol=1e-5, rtol=1e-4)


def test_crops_of_one_picture_are_left_out_together():
    vtm, data = small_vtm(), examples((0, 0, 4))
    rows = found(vtm, data).values.reshape(2, 3, -1)
    with torch.no_grad():
        other = data.subset(torch.tensor([2]))
        alone = vtm.remember(other.images, other.seen)
        logits = fitted(vtm.logits(data.images[:1], alone).transpose(0, 1), data.labels[:, :1])
    together = found(vtm, replace(data, pictures=(0, 1, 4))).values.reshape(2, 3, -1)
    assert float((rows[:, 0] - together[:, 0]).abs().max()) > 1e-4
    known = data.known[:, 0]
    means = [torch.nn.functional.avg_pool2d(each, SIDE // GRID).flatten(1) for each in (logits.sigmoid()[:, 0] * known, known)]
    torch.testing.assert_close(rows[:, 0], means[0] / means[1], atol=1e-5, rtol=1e-4)


def test_half_of_a_single_picture_is_answered_from_the_other_half():
    vtm, data = small_vtm(), examples((3,))
    rows = found(vtm, data).values.reshape(2, GRID, GRID)
    changed = replace(data, labels=data.labels.clone())
    changed.labels[..., : SIDE // 2] = 1 - changed.labels[..., : SIDE // 2]
    again = found(vtm, changed).values.reshape(2, GRID, GRID)
    assert float((again - rows)[..., GRID // 2 :].abs().max()) > 1e-4
    assert found(replace(vtm, pooling=Pooling("region")), data) is None


def test_errors_are_of_the_targets_own_values_and_keypoints_have_none():
    channels = Channels((), (Component("depth", 0, 1.0, 3.0), Component("keypoint:nose", 0, 0.0, 1.0)), {"depth": "identity", "keypoint:nose": "identity"})
    values = torch.tensor([[0.5, 0.0, 0.9], [0.1, 0.2, 0.3]])
    truth = torch.tensor([[0.0, 0.5, 0.9], [0.1, 0.2, 0.3]])
    known = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    targets = {"depth": Target(), "keypoint:nose": Target(kind="heatmap")}
    told = expectations(channels, [0, 1], LeftOut(values, truth, known, 0.25), targets)
    assert told == {"depth": {"error": pytest.approx((1.0 + 0.5) / 2), "strange": 0.25}}  # 2 for 1 and 1 for 2


def test_a_stranger_picture_is_trusted_less_and_a_copy_of_an_example_most():
    told = {"error": 0.3, "strange": 0.2}
    assert confidence(told, 0.2) == pytest.approx(0.7)
    assert confidence(told, 0.4) == pytest.approx(0.4)
    assert confidence(told, 0.0) == pytest.approx(0.97)
    assert confidence(told, 2.0) == 0
    vtm, data = small_vtm(), examples((0, 1, 2))
    with torch.no_grad():
        memory = vtm.remember(data.images, data.seen)
        _, known = vtm.answers(data.images[1:2], memory)
        _, other = vtm.answers(1 - data.images[1:2], memory)
    assert float(known) == pytest.approx(0, abs=1e-5)
    assert float(other) > 0.01


def test_a_pass_that_tells_strangeness_gives_the_same_logits():
    vtm, data = small_vtm(), examples((0, 1, 2))
    with torch.no_grad():
        memory = vtm.remember(data.images, data.seen, some_biases(vtm, 2))
        logits, strange = vtm.answers(data.images, memory, batch=2)
        assert strange.shape == (3,)
        torch.testing.assert_close(logits, vtm.logits(data.images, memory), atol=2e-5, rtol=1e-4)
