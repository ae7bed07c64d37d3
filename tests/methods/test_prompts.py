"""Coarse labels become soft patch labels: on a picture whose object is known, most of what is found is right."""

import numpy as np
import pytest
import torch

from likewise.backbones.features import ImageFeatures
from likewise.data import Example, Support
from likewise.errors import InputError
from likewise.methods.prompts import patch_labels, require_some

GRID, SIZE = (8, 10), (80, 100)


def scene(seed, *, object_at=(slice(2, 6), slice(3, 8)), with_object=True):
    """Features of an image whose object's patches point one way and whose ground points another, with noise."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.zeros(GRID, dtype=torch.bool)
    if with_object:
        truth[object_at] = True
    directions = torch.eye(16)[:2]
    tokens = directions[truth.reshape(-1).long()] + 0.15 * torch.randn(80, 16, generator=generator)
    return ImageFeatures(tokens[None].half(), torch.zeros(1, 1, 16), GRID, SIZE), truth.reshape(-1)


def image():
    return np.zeros((*SIZE, 3), np.uint8)


def test_a_mask_becomes_the_share_of_each_patch():
    label_map = np.zeros(SIZE, np.uint8)
    label_map[:, :5], label_map[40:, 95:] = 1, 255
    (found,) = patch_labels(Support([Example(image(), label_map=label_map)], classes={1: "a"}), [scene(0)[0]])
    shares = found.shares.reshape(*GRID, 2)
    assert shares[0, 0].tolist() == [0.5, 0.5]
    assert shares[0, 1].tolist() == [1, 0]
    assert found.weight.reshape(GRID)[7, 9] == 0.5
    assert shares[7, 9].tolist() == [1, 0]


def test_a_box_shrinks_to_the_object_inside_it():
    features, truth = scene(1)
    (found,) = patch_labels(Support([Example(image(), boxes={"a": [(20, 10, 90, 70)]})]), [features])
    ours = found.shares[:, 1] > 0.5
    assert (ours & truth).sum() >= 0.9 * truth.sum()
    assert (ours & ~truth).sum() <= 2


def test_boxes_that_cover_everything_stay_whole():
    (found,) = patch_labels(Support([Example(image(), boxes={"a": [(0, 0, 100, 80)]})]), [scene(1)[0]])
    assert (found.shares[:, 1] == 1).all()


def test_a_point_grows_over_what_looks_alike_and_unlike_patches_become_background():
    features, truth = scene(2)
    (found,) = patch_labels(Support([Example(image(), points={"a": {"positive": [(50, 40)], "negative": [(5, 5)]}})]), [features])
    ours = (found.shares[:, 1] > 0.5) & (found.weight > 0)
    assert (ours & truth).sum() > 0.7 * truth.sum()
    assert not (ours & ~truth).any()
    assert found.weight.max() == 1
    assert ((found.shares[:, 0] > 0.5) & (found.weight > 0)).sum() > 20


def test_a_scribble_marks_the_patches_it_passes():
    features, _ = scene(2)
    (found,) = patch_labels(Support([Example(image(), scribbles={"a": [[(35, 35), (75, 35)]]})]), [features])
    assert (found.weight.reshape(GRID)[3, 3:8] == 1).all()


def test_tags_find_what_tagged_images_share_and_the_others_lack():
    scenes = [scene(3), scene(4, object_at=(slice(0, 4), slice(0, 5))), scene(5, with_object=False)]
    examples = [Example(image(), f"{index}", tags={"a": index < 2}) for index in range(3)]
    found = patch_labels(Support(examples), [features for features, _ in scenes])
    for (_, truth), labels in zip(scenes[:2], found[:2], strict=True):
        ours = labels.shares[:, 1] > 0.5
        assert (ours & truth).sum() / (ours | truth).sum() > 0.7
    assert (found[2].shares[:, 0] == 1).all()


def test_a_support_without_any_labelled_patch_is_an_error():
    support = Support([Example(image(), tags={"a": True, "b": False}), Example(image(), "two", label_map=np.full(SIZE, 255, np.uint8))])
    found = patch_labels(support.subset([1]), [scene(0)[0]])
    with pytest.raises(InputError, match="no pixel"):
        require_some(found)


def corner(height=20, width=30):
    """A label map whose upper left corner is class 1; it covers 2 x 3 patches."""
    label_map = np.zeros(SIZE, np.uint8)
    label_map[:height, :width] = 1
    return label_map


def background_of(labels):
    """The weight of the background over the patches of an image."""
    return float((labels.shares[:, 0] * labels.weight).sum())


LABELS = {
    "masks": {"masks": {"a": corner() > 0}},
    "boxes": {"boxes": {"a": [(0, 0, 30, 20)]}},
    "points": {"points": {"a": {"positive": [(15, 15), (50, 40)]}}},
    "scribbles": {"scribbles": {"a": [[(5, 5), (25, 5)], [(35, 35), (75, 35)]]}},
    "tags": {"tags": {"a": True}},
}


class TestUnknownPixels:
    """Images of which only a part is labelled."""

    @pytest.mark.parametrize("kind", LABELS)
    def test_none_becomes_background_where_another_image_has_some(self, kind):
        scenes = [scene(0), scene(1), scene(2, with_object=False)]
        partly = [Example(image(), f"{kind}-{index}", **LABELS[kind], unlabelled="unknown") for index in range(2)]
        without = Example(image(), "without", tags={"a": False}, unlabelled="unknown")
        found = patch_labels(Support([*partly, without]), [features for features, _ in scenes])
        for labels in found[:2]:
            background = (labels.shares[:, 0] * labels.weight).reshape(GRID)
            background[:2, :3] = 0  # inside the box
            assert background.max() < 1e-6
        assert all(float((labels.shares[:, 1] * labels.weight).sum()) > 1 for labels in found[:2])
        assert background_of(found[2]) == 80

    def test_of_a_mask_exactly_its_patches_count(self):
        without = Example(image(), "without", tags={"a": False})
        support = Support([Example(image(), "partly", label_map=corner(), unlabelled="unknown"), without], classes={1: "a"})
        found, _ = patch_labels(support, [scene(0)[0], scene(1)[0]])
        assert (found.weight.reshape(GRID)[:2, :3] == 1).all()
        assert found.weight.sum() == 6

    def test_a_patch_that_is_labelled_in_part_counts_less_than_its_part(self):
        without = Example(image(), "without", tags={"a": False})
        support = Support([Example(image(), "partly", label_map=corner(5, 30), unlabelled="unknown"), without], classes={1: "a"})
        found, _ = patch_labels(support, [scene(0)[0], scene(1)[0]])
        assert found.weight.reshape(GRID)[0, :3].tolist() == [0.25, 0.25, 0.25]
        assert (found.shares.reshape(*GRID, 2)[0, :3, 1] == 1).all()

    def test_an_image_without_every_class_is_background_and_one_without_some_is_not(self):
        examples = [Example(image(), "none", tags={"a": False, "b": False}), Example(image(), "not a", tags={"a": False})]
        examples.append(Example(image(), "both", masks={"a": corner() > 0, "b": np.flip(corner() > 0)}))
        support = Support(examples, classes=["a", "b"], unlabelled="unknown")
        found = patch_labels(support, [scene(seed)[0] for seed in range(3)])
        assert [background_of(labels) for labels in found] == [80, 0, 0]
        assert found[1].weight.sum() == 0

    def test_what_is_to_be_ignored_stays_so_in_an_image_without_the_class(self):
        ignored = np.where(corner() > 0, 255, 0)
        examples = [Example(image(), "none", label_map=ignored, tags={"a": False}), Example(image(), "some", label_map=corner())]
        found, _ = patch_labels(Support(examples, classes={1: "a"}, unlabelled="unknown"), [scene(0)[0], scene(1)[0]])
        assert background_of(found) == 74
        assert (found.weight.reshape(GRID)[:2, :3] == 0).all()


class TestBorrowedBackground:
    """Where nothing in the whole support is background."""

    def half_labelled(self, seed, **more):
        """A scene, an example whose object is labelled in its left part alone, and the truth (P,)."""
        features, truth = scene(seed)
        label_map = np.zeros(SIZE, np.uint8)
        label_map[20:60, 30:50] = 1
        return features, Example(image(), f"{seed}", label_map=label_map, unlabelled="unknown", **more), truth

    def test_it_is_most_of_the_ground_and_none_of_the_object_and_counts_little(self):
        scenes = [self.half_labelled(seed) for seed in range(3)]
        found = patch_labels(Support([example for _, example, _ in scenes], classes={1: "a"}), [features for features, *_ in scenes])
        for labels, (*_, truth) in zip(found, scenes, strict=True):
            taken = (labels.shares[:, 0] > 0.5) & (labels.weight > 0)
            assert not (taken & truth).any()
            assert (taken & ~truth).sum() > 0.9 * (~truth).sum()
            assert labels.weight[taken].unique().tolist() == pytest.approx([0.3])
            assert (labels.weight[truth & ~taken].reshape(4, 5) == torch.tensor([1.0, 1, 0, 0, 0])).all()

    def test_a_negative_point_is_background_enough(self):
        features, example, _ = self.half_labelled(0)
        _, other, _ = self.half_labelled(1)
        marked = Example(image(), "marked", points={"a": {"positive": [], "negative": [(5, 5)]}}, unlabelled="unknown")
        found = patch_labels(Support([example, other, marked], classes={1: "a"}), [features, scene(1)[0], scene(2)[0]])
        assert [background_of(labels) for labels in found[:2]] == [0, 0]

    def test_it_is_not_taken_from_images_of_which_nothing_is_said(self):
        features, example, _ = self.half_labelled(0)
        bare = Example(image(), "bare", label_map=np.zeros(SIZE, np.uint8), unlabelled="unknown")
        found, nothing = patch_labels(Support([example, bare], classes={1: "a"}), [features, scene(1)[0]])
        assert background_of(found) > 10
        assert nothing.weight.sum() == 0

    def test_it_is_not_taken_from_what_is_to_be_ignored(self):
        features, example, _ = self.half_labelled(0)
        example.label_map[:20] = 255
        (found,) = patch_labels(Support([example], classes={1: "a"}), [features])
        assert (found.weight.reshape(GRID)[:2] == 0).all()
        assert background_of(found) > 5

    def test_there_is_none_where_every_pixel_is_labelled(self):
        label_map = np.full(SIZE, 2, np.uint8)
        label_map[20:60, 30:80] = 1
        (found,) = patch_labels(Support([Example(image(), label_map=label_map, unlabelled="unknown")], classes={1: "a", 2: "b"}), [scene(0)[0]])
        assert background_of(found) == pytest.approx(0, abs=1e-5)
        assert (found.weight == 1).all()

    def test_it_shrinks_boxes_of_which_the_rest_then_counts_little(self):
        scenes = [scene(seed) for seed in (1, 2, 3)]
        support = Support([Example(image(), f"{index}", boxes={"a": [(20, 10, 90, 70)]}, unlabelled="unknown") for index in range(3)])
        inside = torch.zeros(GRID, dtype=torch.bool)
        inside[1:7, 2:9] = True
        for labels, (_, truth) in zip(patch_labels(support, [features for features, _ in scenes]), scenes, strict=True):
            ours = (labels.shares[:, 1] > 0.5) & (labels.weight > 0)
            assert (ours & truth).sum() == truth.sum()
            assert (ours & ~truth).sum() <= 2
            given_back = inside.reshape(-1) & ~ours
            assert labels.weight[given_back].unique().tolist() == pytest.approx([0.3])
            assert (labels.shares[given_back, 0] == 1).all()


def test_tags_of_many_images_find_what_those_of_few_find():
    scenes = [scene(seed, with_object=seed % 2 == 0) for seed in range(40)]
    examples = [Example(image(), f"{seed}", tags={"a": seed % 2 == 0}) for seed in range(40)]
    found = patch_labels(Support(examples), [features for features, _ in scenes])
    for (_, truth), labels in zip(scenes[::2], found[::2], strict=True):
        ours = labels.shares[:, 1] > 0.5
        assert (ours & truth).sum() / (ours | truth).sum() > 0.7


def test_a_negative_point_keeps_a_second_object_out():
    features, _ = scene(3, object_at=(slice(1, 3), slice(1, 4)))
    second = torch.zeros(GRID, dtype=torch.bool)
    second[5:7, 5:9] = True
    tokens = features.tokens.clone()
    tokens[0, second.flatten(), :2] = tokens[0, second.flatten(), :2].flip(1)  # it looks the same
    features = ImageFeatures(tokens, features.prefix, GRID, SIZE)
    inside, other = (25.0, 25.0), (75.0, 65.0)  # pixels, ten a patch

    def joined(negative):
        (found,) = patch_labels(Support([Example(image(), points={"a": {"positive": [inside], "negative": negative}})]), [features])
        return found.shares[second.flatten(), 1] > 0.5

    assert joined([]).float().mean() > 0.8
    assert joined([other]).float().mean() <= 0.25


def test_points_of_two_classes_share_the_patches_between_them():
    features, truth = scene(4)
    support = Support([Example(image(), points={"a": {"positive": [(55, 35)], "negative": []}, "b": {"positive": [(5, 5)], "negative": []}})])
    (found,) = patch_labels(support, [features])
    assert (found.shares[truth, 1] > 0.5).float().mean() > 0.8
    assert (found.shares[~truth, 1] > 0.5).float().mean() < 0.1


def test_what_points_do_not_reach_is_left_open_where_the_unlabelled_is_unknown():
    features, truth = scene(5)
    example = Example(image(), points={"a": {"positive": [(55, 35)], "negative": []}}, unlabelled="unknown")
    (found,) = patch_labels(Support([example]), [features])
    background = (found.shares[:, 0] > 0.5) & (found.weight > 0)
    assert not background[truth].any()
    assert (found.weight[~truth & ~background] < 1).all()


def test_one_tagged_image_alone_gives_what_stands_out_of_its_border():
    features, truth = scene(6)
    (found,) = patch_labels(Support([Example(image(), tags={"a": True})]), [features])
    joined = found.shares[:, 1] > 0.5
    assert joined[truth].float().mean() > 0.8
    assert joined[~truth].float().mean() < 0.15
