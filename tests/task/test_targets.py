"""Targets of every kind through the public face, on a small random backbone: units, limits, counts, keypoints, warnings."""

import numpy as np
import pytest
import torch

import likewise
from likewise import Example, Support, Target
from likewise.data import ClassTable
from likewise.errors import InputError
from likewise.methods.base import RawPrediction
from likewise.task.finish import finish
from likewise.testing.conformance import picture

BACKBONE = "random:vit-tiny-14"
QUERY = picture(9, 101, 67)[0]


def learn(support, method="ridge", **settings):
    return likewise.learn(support, method=method, backbone=BACKBONE, engine="torch", device="cpu", preset="fast", **settings)


def examples(make, count=2, **more):
    found = []
    for index in range(count):
        pixels, labels = picture(index, 90, 120 - 10 * index)
        found.append(Example(pixels, f"e{index}", dense=make(pixels, labels), **more))
    return found


def raw(values, **targets):
    """A prediction for an image of 60x90 from maps (C, h, w) and their targets."""
    dense = {name: torch.as_tensor(np.asarray(plane, np.float32)) for name, plane in values.items()}
    return finish(RawPrediction(None, dense=dense), (60, 90), classes=ClassTable({}), targets=targets, image=None)


@pytest.mark.parametrize("shape", [(4, 6), (13, 5), (60, 90), (120, 200)])
def test_enlarging_a_density_keeps_its_count(shape):
    density = np.random.default_rng(0).random((1, *shape)) - 0.2
    found = raw({"cells": density}, cells=Target(kind="density"))
    assert found.count["cells"] == pytest.approx(np.clip(density, 0, None).mean() * 60 * 90, rel=1e-4)
    assert found.dense["cells"].min() >= 0
    assert raw({"cells": -density.clip(0)}, cells=Target(kind="density")).count == {"cells": 0.0}


@pytest.mark.parametrize(
    ("target", "low", "high"), [(Target(kind="heatmap"), 0, 1), (Target(kind="soft_mask", range=(0, 255)), 0, 255), (Target(range=(3, 4)), 3, 4)]
)
def test_values_stay_within_what_the_kind_or_the_range_allows(target, low, high):
    values = raw({"t": np.linspace(-500, 500, 24).reshape(1, 4, 6)}, t=target).dense["t"]
    assert (values.min(), values.max()) == (low, high)


@pytest.mark.parametrize("method", ["ridge", "analogy"])
def test_angles_in_degrees_come_back_in_degrees_across_the_turn(method):
    def make(pixels, labels):
        return {"heading": np.where(np.arange(labels.shape[1]) % 2, 179.0, -179.0) * np.ones(labels.shape)}

    values = learn(Support(examples(make), targets={"heading": Target(kind="angle", unit="deg")}), method).predict(QUERY).dense["heading"]
    assert (np.abs(values) > 178).all()


def test_mirrored_copies_turn_vectors_and_teach_no_angles():
    from likewise.backbones.features import ImageFeatures
    from likewise.methods.dense import value_rows

    def make(pixels, labels):
        flow = np.zeros((*labels.shape, 2))
        flow[..., 0], flow[..., 1] = 2.0, 3.0
        return {"flow": flow, "heading": np.ones(labels.shape)}

    support = Support(examples(make), targets={"flow": Target(kind="vector"), "heading": Target(kind="angle")})
    items = [ImageFeatures(torch.ones(1, 12, 5).half(), torch.ones(1, 1, 5), (3, 4), example.labels.size) for example in support.examples]
    flow = value_rows(support, items, "flow", [False, True])
    assert flow.values[flow.example == 0].round(decimals=3).unique(dim=0).tolist() == [[2, 3]]
    assert flow.values[flow.example == 1].round(decimals=3).unique(dim=0).tolist() == [[-2, 3]]
    assert value_rows(support, items, "heading", [False, True]).example.unique().tolist() == [0]


def test_analogy_gives_the_same_vectors_whether_its_examples_are_mirrored_or_not():
    def make(pixels, labels):
        return {"flow": np.stack([pixels[..., 0] / 255.0, 0 * labels], axis=2)}

    task = learn(Support(examples(make), targets={"flow": Target(kind="vector")}), "analogy", copies=1)
    right = task.predict(QUERY).dense["flow"][..., 0]
    assert right.mean() < 0.45  # a mirrored copy says minus as much: a random network cannot tell the two pictures apart


def test_a_target_that_is_the_same_everywhere_is_learned_with_a_warning():
    support = Support(examples(lambda pixels, labels: {"depth": np.full(labels.shape, 3.0)}), targets={"depth": Target(unit="m")})
    for method in ("ridge", "analogy"):
        with pytest.warns(UserWarning, match="every known value of 'depth' is 3"):
            task = learn(support, method)
        assert np.allclose(task.predict(QUERY).dense["depth"], 3, atol=0.01)


def test_one_example_is_enough_for_several_targets_beside_classes():
    pixels, labels = picture(1, 90, 120)
    dense = {"depth": 1 + pixels.mean(2), "normals": np.stack([pixels[..., 0], pixels[..., 1], 255 - pixels[..., 2]], 2) + 1.0, "mask": labels == 1}
    targets = {"depth": Target(unit="mm", kind="log"), "normals": Target(kind="unit_vector"), "mask": Target(kind="soft_mask")}
    support = Support([Example(pixels, label_map=labels, dense=dense, keypoints={"corner": (9.5, 4.0)})], classes={1: "red", 2: "green"}, targets=targets)
    for method in ("ridge", "analogy"):
        found = learn(support, method).predict(QUERY)
        assert set(found.dense) == {"depth", "normals", "mask"}
        assert found.dense["depth"].min() > 0
        assert np.allclose(np.linalg.norm(found.dense["normals"], axis=2), 1, atol=1e-4)
        assert 0 <= found.dense["mask"].min() <= found.dense["mask"].max() <= 1
        assert set(found.keypoints) == {"corner"}
        assert set(found.present) == {"red", "green"}


def pointed(**more):
    return Support([Example(picture(index, 90, 120)[0], f"e{index}", keypoints={"nose": (20.0 + index, 30.0), **more}) for index in range(3)])


@pytest.mark.parametrize("method", ["ridge", "analogy"])
def test_a_name_that_is_nowhere_visible_is_not_visible_with_a_warning(method):
    with pytest.warns(UserWarning, match="no example shows tail"):
        task = learn(pointed(tail=None), method)
    assert task.predict(QUERY).keypoints["tail"][2] < 0.5


def test_keypoints_of_which_none_is_visible_are_refused():
    support = Support([Example(picture(0, 90, 120)[0], keypoints={"nose": None})])
    with pytest.raises(InputError, match="no example shows any keypoint"):
        learn(support)


def test_a_method_without_dense_values_refuses_keypoints():
    with pytest.raises(InputError, match="labels of the kind keypoint"):
        likewise.learn(pointed(), method="cst", backbone=BACKBONE, checkpoint="random")


@pytest.mark.parametrize("method", ["ridge", "analogy"])
def test_examples_with_keypoints_can_join_and_leave(method):
    support = pointed()
    grown = learn(support.subset([0, 1]), method).update(support.subset([2]))
    assert grown.predict(QUERY).keypoints == learn(support, method).predict(QUERY).keypoints
    assert grown.forget(["e1"]).predict(QUERY).keypoints == learn(support.subset([0, 2]), method).predict(QUERY).keypoints


def test_keypoints_are_drawn_where_they_are_and_hidden_ones_are_not():
    image = np.zeros((60, 90, 3), np.uint8)
    found = finish(
        RawPrediction(None, keypoints={"nose": (30.0, 20.0, 0.9), "tail": (70.0, 40.0, 0.1)}), (60, 90), classes=ClassTable({}), targets={}, image=image
    )
    drawn = np.asarray(found.overlay())
    assert drawn[19:21, 29:31].any()
    assert not drawn[35:45, 60:80].any()
    ys, xs = np.nonzero(drawn.any(axis=2))
    assert (xs.mean() + 0.5, ys.mean() + 0.5) == (pytest.approx(30, abs=0.3), pytest.approx(20, abs=0.3))


def test_the_count_of_an_image_unlike_all_examples_is_near_theirs_and_that_of_an_example_its_own():
    flat = [np.full((80, 80, 3), 100 + index, np.uint8) for index in range(2)]
    noisy = [np.random.default_rng(index).integers(0, 255, (80, 80, 3), dtype=np.uint8) for index in range(2)]
    made = [
        Example(pixels, f"e{index}", dense={"cells": np.full((80, 80), count / 6400)}) for index, (pixels, count) in enumerate(zip(flat, (20, 24), strict=True))
    ]
    task = learn(Support(made, targets={"cells": Target(kind="density")}), "analogy", copies=0)
    assert task.memory.facts["usual"]["cells"] == pytest.approx(22, rel=1e-3)
    assert task.predict(noisy[0]).count["cells"] == pytest.approx(22, rel=0.1)
    assert 19 < task.predict(flat[0]).count["cells"] < 25
