"""COCO panoptic: segments by the colours of a PNG, crowds and nothing ignored, and what cannot be used."""

import numpy as np
import pytest

from likewise.errors import InputError
from likewise.formats import read_support, recognise


@pytest.fixture
def content():
    segments = [{"id": 70_000, "category_id": 3}, {"id": 5, "category_id": 3}, {"id": 300, "category_id": 9, "iscrowd": 1}]
    return {
        "images": [{"id": 1, "file_name": "a.png", "height": 7, "width": 10}],
        "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": segments}],
        "categories": [{"id": 3, "name": "crack", "isthing": 1}, {"id": 9, "name": "sky", "isthing": 0}],
    }


@pytest.fixture
def panoptic(put, photo, content):
    numbers = np.zeros((7, 10), np.int64)
    numbers[0:2], numbers[3:5, 1:4], numbers[3:5, 6:9] = 300, 70_000, 5
    put("images/a.png", photo)
    put("panoptic/a.png", np.stack([numbers % 256, numbers // 256 % 256, numbers // 65_536], axis=2).astype(np.uint8))
    put("panoptic.json", content)
    return put


def test_segments_are_objects_and_what_is_in_none_is_ignored(panoptic):
    assert recognise(panoptic.folder) == "coco-panoptic"
    labels = read_support(panoptic.folder).support.examples[0].labels
    assert [one.box for one in labels.instances[3]] == [(1, 3, 4, 5), (6, 3, 9, 5)]
    assert (labels.label_map[:2] == -1).all()
    assert labels.label_map[3].tolist() == [-1, 3, 3, 3, -1, -1, 3, 3, 3, -1]
    assert labels.tags == {9: True}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["annotations"][0]["segments_info"].append({"id": 5, "category_id": 4}), "2 problems"),
        (lambda c: c["annotations"][0]["segments_info"].append({"id": 6, "category_id": 3}), "no pixel is of the segment 6"),
        (lambda c: c["annotations"][0].update(image_id=2), "no image 2"),
        (lambda c: c["annotations"][0].update(file_name="../../a.png"), "outside"),
        (lambda c: c["images"][0].update(file_name="/etc/passwd"), "not a path inside"),
        (lambda c: c["images"].append(c["images"][0]), "same file_name"),
        (lambda c: c["categories"].append(c["categories"][0]), "id 3 is there twice"),
    ],
)
def test_files_that_cannot_be_used_are_refused(panoptic, content, change, words):
    change(content)
    panoptic("panoptic.json", content)
    with pytest.raises(InputError, match=words):
        read_support(panoptic.folder, format="coco-panoptic")
