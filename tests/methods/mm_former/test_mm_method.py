"""MM-Former behind the interface: what a task keeps, classes and shots of any number, what is empty, alignments left out."""

import numpy as np
import pytest
import torch
from mm_small import examples, official_names, picture, small_backbone, small_matcher, support

from likewise import learn, load
from likewise.backbones.features import StageTimes
from likewise.data import Example, Support
from likewise.errors import InputError, UsageError, WeightsError
from likewise.methods.mm_former.checkpoint import converted
from likewise.weights import Card, write_checkpoint

SMALL = {"backbone": "random:vit-tiny-14", "checkpoint": "random", "side": 112, "layers": (0, 1, 2, 3), "width": 32, "queries": 6}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A small network of the published kind, its backbone with it, for squares of 96 pixels."""
    path = tmp_path_factory.mktemp("weights") / "published.safetensors"
    tensors = converted(official_names(small_matcher(), small_backbone()))
    write_checkpoint(tensors, path, Card("mm-former", {"official": True, "side": 96, "matching_heads": 2}))
    return path


def opened(path, shown, **settings):
    return learn(shown, "mm-former", checkpoint=path, backbone="random:vit-tiny-14", **settings)


def test_a_task_keeps_of_a_support_what_its_mask_leaves_and_answers_the_same_when_opened_again(tmp_path):
    task = learn(support(2), "mm-former", **SMALL)
    task.save(tmp_path / "a.task")
    kept = task.memory.tensors
    assert {name.split(".")[1] for name in kept} == {"0", "1"}
    for name, tensor in kept.items():
        if name.endswith("tokens"):
            assert tensor.shape == (len(kept[name.replace("tokens", "where")]), 32)
            rows, columns = kept[name.replace("tokens", "grid")].tolist()
            assert len(tensor) < 0.6 * rows * columns
    one, two = task.predict(picture(9)[0]), load(tmp_path / "a.task").predict(picture(9)[0])
    assert np.array_equal(one.labels, two.labels)
    assert np.array_equal(one.scores, two.scores)


@pytest.mark.parametrize("official", [True, False])
def test_a_support_that_was_kept_answers_as_one_that_is_shown_with_the_query(published, official):
    task = opened(published, support(1), official=official)
    image, query, method = picture(0)[0], picture(9)[0], task.method
    with torch.inference_mode():
        spec = method._spec
        item, shown = task.ready().extract([task.prepare(query), task.prepare(image)], spec, StageTimes())
        own = method._mask(task.support, 0, 1, shown, None)
        matcher = method._matcher
        view = matcher.viewed(method._maps(item))
        size = (96, 96) if official else view.proposals.shape[2:]
        joint = matcher.answered(view, [matcher.shown(method._maps(shown), own)], size, official=official).foreground[0]
        (raw,) = method.predict([], {spec: [item]}, task.memory)
    assert joint.std() > 0.01
    torch.testing.assert_close(raw.logits[1] - raw.logits[0], 10 * (joint - 0.5), atol=1e-4, rtol=1e-4)


def test_several_classes_take_a_pixel_by_the_largest_foreground_and_the_background_by_one_half(published):
    task = opened(published, support(4, ("one", "two")), sharpness=10.0)
    shown = examples(4, ("one", "two"))
    alone = [opened(published, Support(shown[place::2], classes=[name])) for place, name in enumerate(("one", "two"))]
    query = picture(9)[0]
    odds = [np.log(own.predict(query).scores[1] / own.predict(query).scores[0]) for own in alone]
    found = task.predict(query)
    both = np.log(found.scores[1:] / found.scores[0])
    np.testing.assert_allclose(both, np.stack(odds), atol=1e-3)
    wanted = np.where(np.maximum(*odds) > 0, 1 + np.argmax(odds, axis=0), 0)
    assert (found.labels == wanted).mean() > 0.999


def test_classes_may_have_different_numbers_of_images_and_copies_change_nothing(published):
    task = opened(published, support(3, ("one", "two")))
    assert task.memory.facts["pairs"] == [0, 0, 1]
    image, mask = picture(1)
    again = [Example(image, f"1-{copy}", masks={"two": mask}) for copy in range(3)]
    more = opened(published, Support([*examples(3, ("one", "two")), *again], classes=["one", "two"]))
    assert more.memory.facts["pairs"] == [0, 0, 1, 1, 1, 1]
    one, two = task.predict(picture(9)[0]), more.predict(picture(9)[0])
    np.testing.assert_allclose(one.scores, two.scores, atol=1e-4)


def test_a_hundred_examples_are_learned_from_and_the_task_grows_with_the_area_of_their_masks():
    few, many = (learn(support(count, size=(48, 56)), "mm-former", **SMALL) for count in (10, 100))
    sizes = [sum(tensor.numel() * tensor.element_size() for tensor in task.memory.tensors.values()) for task in (few, many)]
    assert 8 < sizes[1] / sizes[0] < 12.5
    rows = sum(tensor.shape[0] for name, tensor in many.memory.tensors.items() if name.endswith("tokens"))
    assert sizes[1] == rows * (32 * 4 + 8 + 4 + 4) + 300 * 16  # features, place, mask, weight; the grid of each level
    answer = many.predict(picture(9, (48, 56))[0])
    assert np.isfinite(answer.scores).all()


def test_a_class_without_examples_takes_no_pixel(published):
    image, mask = picture(0)
    shown = Support([Example(image, "0", masks={"square": mask})], classes=["square", "never"])
    with pytest.warns(UserWarning, match="never"):
        tasks = (opened(published, shown, official=False), learn(shown, "mm-former", **SMALL))
    for task in tasks:
        answer = task.predict(picture(9)[0])
        assert answer.present["never"] < 0.5
        assert not (answer.labels == 2).any()


def test_a_mask_that_is_smaller_than_a_cell_gives_a_finite_answer(published):
    image, mask = picture(0)
    mask[:] = False
    mask[20, 30] = True
    shown = Support([Example(image, "0", masks={"square": mask})], classes=["square"])
    for task in (opened(published, shown, official=False), opened(published, shown), learn(shown, "mm-former", **SMALL)):
        assert np.isfinite(task.predict(picture(9)[0]).scores).all()


def test_alignments_can_be_left_out(published):
    plain, apart, raw = (opened(published, support(1), **changed) for changed in ({}, {"cross": False}, {"within": False}))
    assert not np.allclose(plain.predict(picture(9)[0]).scores, apart.predict(picture(9)[0]).scores, atol=1e-4)
    assert torch.equal(plain.memory.tensors["pair.0.1.tokens"], apart.memory.tensors["pair.0.1.tokens"])
    assert not torch.allclose(plain.memory.tensors["pair.0.1.tokens"], raw.memory.tensors["pair.0.1.tokens"])


def test_boxes_become_masks_for_the_programs_backbone_and_are_refused_by_a_published_network(published):
    image, _ = picture(0)
    shown = Support([Example(image, "0", boxes={"square": [(8, 6, 40, 41)]})], classes=["square"])
    assert learn(shown, "mm-former", **SMALL).predict(image).labels.shape == image.shape[:2]
    with pytest.raises(InputError, match="no mask of a class that it shows") as error:
        opened(published, shown)
    assert "likewise refine" in error.value.remedy


def test_a_published_network_sees_squares_and_one_trained_here_keeps_the_shape(published):
    assert opened(published, support(1)).working_shape((60, 120)) == (96, 96)
    rows, columns = learn(support(1), "mm-former", **SMALL).working_shape((60, 120))
    assert columns > 1.5 * rows


def test_a_checkpoint_for_another_backbone_is_refused(tmp_path):
    write_checkpoint(dict(small_matcher().state_dict()), tmp_path / "own.safetensors", Card("mm-former", {"matching_heads": 2}))
    with pytest.raises(InputError, match="reads maps of 16, 32, 64, 128 channels, the backbone gives 48"):
        opened(tmp_path / "own.safetensors", support(1))


def test_weights_are_needed_and_a_method_without_a_backbone_says_so():
    with pytest.raises(WeightsError, match="needs trained weights"):
        learn(support(1), "mm-former", backbone="random:vit-tiny-14")
    from likewise.methods.mm_former import MmFormer

    with pytest.raises(UsageError, match="no backbone"):
        _ = MmFormer()._matcher


def test_an_example_with_an_empty_mask_is_not_learned_from_and_alone_it_is_refused():
    (image, mask), (other, nothing) = picture(0), picture(1)
    nothing[:] = False
    empty = Example(other, "1", masks={"square": nothing})
    task = learn(Support([Example(image, "0", masks={"square": mask}), empty], classes=["square"]), "mm-former", **SMALL)
    assert task.memory.facts["pairs"] == [0]
    with pytest.raises(InputError, match="no example shows any class"):
        learn(Support([empty], classes=["square"]), "mm-former", **SMALL)


def test_masks_of_another_source_are_matched_by_their_cosines(published, tmp_path):
    task = opened(published, support(2), official=False, masks="regions")
    query, mask = picture(9)
    found = task.predict(query)
    assert 0 < (found.labels == 1).mean() < 1
    edges = np.abs(np.diff(mask.astype(int), axis=1)).astype(bool)
    steps = np.abs(np.diff(found.scores[1], axis=1))
    assert steps[edges].mean() > 3 * steps[~edges].mean()  # regions keep to the borders of the picture
    task.save(tmp_path / "a.task")
    assert np.array_equal(load(tmp_path / "a.task").predict(query).scores, found.scores)


def test_another_checkpoints_segmenter_is_no_source(published, tmp_path):
    task = learn(support(1), "mm-former", **SMALL)
    path = tmp_path / "other.safetensors"
    tensors = task.method._matcher.state_dict()
    write_checkpoint(tensors, path, Card("mm-former", {"side": 112, "layers": [0, 1, 2, 3]}))
    with pytest.raises(UsageError, match="another checkpoint's segmenter"):
        opened(published, support(1), masks=str(path))
