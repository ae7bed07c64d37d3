"""Vectors of classes in a support."""

import numpy as np
import pytest

from likewise.data import Example, LabelKind, Support
from likewise.errors import InputError
from likewise.task.storage import joined

WHALE, LYNX = np.array([1.0, 0.0, 0.5]), np.array([0.0, 1.0, 0.25])


def test_classes_that_have_a_vector_and_no_image_are_classes():
    support = Support([], class_vectors={"whale": WHALE, "lynx": LYNX})
    assert dict(support.classes.names) == {1: "whale", 2: "lynx"}
    assert support.kinds() == {LabelKind.VECTOR}
    assert {number: vector.tolist() for number, vector in support.class_vectors.items()} == {1: WHALE.tolist(), 2: LYNX.tolist()}


def test_examples_and_vectors_name_classes_together():
    support = Support([Example(np.zeros((4, 5, 3), np.uint8), "a", label="lynx")], class_vectors={"whale": WHALE, "lynx": LYNX})
    assert dict(support.classes.names) == {1: "lynx", 2: "whale"}
    assert support.class_vectors[1].tolist() == LYNX.tolist()
    assert support.subset([0]).class_vectors.keys() == {1, 2}


@pytest.mark.parametrize(
    ("vectors", "told"),
    [
        ({"whale": WHALE, "lynx": LYNX[:2]}, "2 and 3 numbers"),
        ({"whale": [np.nan, 1]}, "finite"),
        ({"whale": []}, "finite"),
        ({"whale": [[1, 2]]}, "finite"),
        ({"ibis": WHALE}, "no class 'ibis'"),
        ({1: WHALE, "whale": WHALE}, "two vectors"),
    ],
)
def test_what_is_no_table_of_vectors_is_refused(vectors, told):
    with pytest.raises(InputError, match=told):
        Support([], classes=["whale", "lynx"], class_vectors=vectors)


def test_the_digest_of_a_support_depends_on_its_vectors_and_is_as_it_was_without():
    one, same, other = (Support([], classes=["whale"], class_vectors={"whale": vector}).digest() for vector in (WHALE, WHALE, LYNX))
    assert one == same != other


def test_supports_are_joined_by_the_names_of_their_classes():
    together = joined(Support([], class_vectors={"whale": WHALE}), Support([], class_vectors={"lynx": LYNX, "whale": WHALE}))
    assert dict(together.classes.names) == {1: "whale", 2: "lynx"}
    assert [together.class_vectors[number].tolist() for number in (1, 2)] == [WHALE.tolist(), LYNX.tolist()]
    with pytest.raises(InputError, match="another vector"):
        joined(Support([], class_vectors={"whale": WHALE}), Support([], class_vectors={"whale": LYNX}))
    with pytest.raises(InputError, match="2 and 3 numbers"):
        joined(Support([], class_vectors={"whale": WHALE}), Support([], class_vectors={"lynx": LYNX[:2]}))
