"""A support that says where things are and nowhere that something is not: no method answers "everywhere", or stumbles."""

import numpy as np
import pytest

from likewise.data import Example, OutputKind, Support
from likewise.methods import available, method_class
from likewise.task import learn

# trained ones find nothing before they were trained, and class-attention is told no more of an example than what is in it
MASKS = [name for name in available() if OutputKind.MASKS in method_class(name).gives]
UNTRAINED = [name for name in MASKS if not method_class(name).trained and name != "class-attention"]
SIZES = ((90, 120), (120, 90), (75, 133))


def picture(seed, height, width):
    """A dark picture with two bright squares, and a label map that shows one of them alone."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 50, (height, width, 3), dtype=np.uint8)
    labels, truth = np.zeros((height, width), np.uint8), np.zeros((height, width), bool)
    for place, left in enumerate((0.08, 0.6)):
        rows, columns = slice(height // 4, 3 * height // 4), slice(round(left * width), round((left + 0.3) * width))
        pixels[rows, columns] = random.integers(200, 256, (*truth[rows, columns].shape, 3), dtype=np.uint8)
        truth[rows, columns], labels[rows, columns] = True, place
    return pixels, labels, truth


@pytest.mark.parametrize("name", UNTRAINED)
def test_positives_alone_are_found_again_and_not_everywhere(name):
    examples = [Example(*picture(seed, *size)[:1], f"{seed}", label_map=picture(seed, *size)[1]) for seed, size in enumerate(SIZES)]
    support = Support(examples, classes={1: "square"}, unlabelled="unknown")
    task = learn(support, method=name, backbone="random:vit-tiny-14", device="cpu", preset="fast", engine="torch")
    pixels, _, truth = picture(9, 101, 127)
    found = task.predict(pixels).labels == 1
    assert (found & truth).sum() > 0.5 * truth.sum()
    assert (found & ~truth).sum() < 0.5 * (~truth).sum()


# the background of persam is whatever lies below one threshold, and unlike learns from what is background (its own tests say so)
@pytest.mark.parametrize("name", [name for name in UNTRAINED if name not in ("persam", "unlike")])
def test_images_that_are_labelled_all_over_leave_no_room_for_background(name):
    halves = np.repeat([[1, 2]], 90, axis=0).repeat(60, axis=1).astype(np.uint8)
    pixels = np.where(halves[:, :, None] == 1, 230, 20).astype(np.uint8).repeat(3, axis=2)
    support = Support([Example(pixels, "a", label_map=halves)], classes=["left", "right"], unlabelled="unknown")
    task = learn(support, method=name, backbone="random:vit-tiny-14", device="cpu", preset="fast", engine="torch")
    assert set(np.unique(task.predict(pixels[:, ::-1].copy()).labels)) <= {1, 2}
