"""Real photographs in every format: the support that is read is the same, so what is learned from it is the same; so are labels that a run writes."""

import shutil

import numpy as np
import pytest

from likewise.data import Prediction
from likewise.formats import open_writer, read_support, read_truth
from likewise.formats.converting import convert, plan
from likewise.formats.writing import ENCODERS

FORMATS = sorted(name for name, encoder in ENCODERS.items() if "masks" in encoder.holds)


def same(support):
    """All that learning depends on, but the names of images and classes' numbers, which formats may choose."""
    made = []
    for example in support.examples:
        labels = example.labels
        masks = {support.classes[number]: labels.mask(number).tobytes() for number in support.classes}
        made.append((example.digest, labels.size, labels.unlabelled, masks, (labels.label_map < 0).tobytes()))
    return sorted(made, key=lambda one: one[0])


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", ["cracks", "nuclei"])
def test_the_support_is_the_same_in_every_format(shared, tmp_path, name, format):
    original = read_support(shared / name, split="support").support
    convert(plan(shared / name, format, split="support"), tmp_path / "out")
    read = "index-png" if format == "geotiff" else None
    assert same(read_support(tmp_path / "out", format=read, split="support").support) == same(original)


@pytest.mark.parametrize("format", [name for name in FORMATS if name not in ("geotiff", "examples")])
def test_the_labels_of_a_run_are_the_same_in_every_format(shared, tmp_path, format):
    support = read_support(shared / "camvid", split="support").support
    example = support.examples[0]
    labels = np.where(example.labels.label_map < 0, 0, example.labels.label_map).astype(np.uint8)
    folder = tmp_path / "set" / ("masks" if format == "index-png" else "")
    image = tmp_path / "set" / "images" / "street.png"
    image.parent.mkdir(parents=True)
    shutil.copyfile(example.image, image)
    writer = open_writer(format, folder, support.classes, {})
    writer.write("street.png", Prediction(support.classes, {}, labels, {}, {}, 0.5, image=image))
    writer.finish()
    if format == "index-png":
        shutil.move(folder / "classes.json", tmp_path / "set/classes.json")
    truth = read_truth(tmp_path / "set", format=format)
    found = truth.labels("street.png", labels.shape)
    for number in support.classes:
        assert (labels == number).any() == (
            support.classes[number] in truth.classes.names.values() and found.mask(truth.classes.number(support.classes[number])).any()
        )
        if (labels == number).any():
            assert np.array_equal(found.mask(truth.classes.number(support.classes[number])), labels == number)
