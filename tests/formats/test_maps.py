"""Encodings written as text, and arrays of index values."""

import numpy as np
import pytest

from likewise.errors import InputError
from likewise.formats.maps import Encoding, index_values, looks_like_mask, parse_formula, read_dense, read_index_mask


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("8-bit RGB, n = (value-1)/127 - 1 for x (right), y (down), z (forward); towards the camera, so z < 0", lambda v: (v - 1) / 127 - 1),
        ("value/127.5-1", lambda v: v / 127.5 - 1),
        ("n = 2*value/255 - 1", lambda v: 2 * v / 255 - 1),
        ("value / 1000", lambda v: v / 1000),
        ("(value + 3) / 2", lambda v: (v + 3) / 2),
        ("value - 100", lambda v: v - 100),
    ],
)
def test_a_formula_in_words_is_what_it_computes(text, formula):
    scale, offset = parse_formula(text, "here")
    stored = np.arange(256)
    assert np.allclose(stored * scale + offset, formula(stored))


@pytest.mark.parametrize("text", ["", "RGB", "value", "value/0", "0*value", "value/2/3", "log(value)"])
def test_what_names_no_formula_is_refused(text):
    with pytest.raises(InputError, match="encoding"):
        parse_formula(text, "here")


def test_index_values_are_whole_numbers():
    with pytest.raises(InputError, match="float32"):
        index_values(np.ones((2, 3), np.float32), "m.tif")
    assert index_values(np.array([[True, False]]), "m.png").tolist() == [[1, 0]]


def test_files_of_other_kinds_are_refused(tmp_path):
    for reader in (read_index_mask, lambda path: read_dense(path, Encoding())):
        with pytest.raises(InputError, match=r"cannot be a \.txt"):
            reader(tmp_path / "a.txt")
    assert not looks_like_mask(tmp_path / "a.png")


@pytest.mark.parametrize(("array", "words"), [(np.ones(4), "shape"), (np.ones((2, 3), complex), "complex"), (np.array([["a"]]), "<U1")])
def test_arrays_that_are_no_maps_are_refused(tmp_path, array, words):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match=words):
        read_dense(tmp_path / "a.npy", Encoding())


def test_16_bit_colours_are_refused_since_half_their_bits_would_be_lost(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), np.full((3, 4, 3), 40_000, np.uint16))
    with pytest.raises(InputError, match="half its bits"):
        read_dense(tmp_path / "a.png", Encoding())
