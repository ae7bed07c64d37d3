"""Targets that cannot be learned, as files at the command line: an error before any network is opened, or a rule."""

import json

import numpy as np
import pytest
from PIL import Image

from likewise.formats import read_support

SIZE = (44, 62)  # of every image, in rows and columns
METHODS = {"analogy": (), "vtm": ("--method", "vtm", "--checkpoint", "random", "--set", "side=56")}
BACKBONE = ("--backbone", "random:vit-tiny-14", "--engine", "torch", "--preset", "fast")


@pytest.fixture(params=METHODS)
def method(request):
    """Options that name a method; without a backbone beside them weights are missing, which is exit code 3."""
    return METHODS[request.param]


@pytest.fixture
def folder(tmp_path):
    """folder({name: map}, fields of the target...) -> a folder of images with these maps as files."""

    def write(maps, **fields):
        place = tmp_path / "given"
        for part in ("images", "values"):
            (place / part).mkdir(parents=True)
        for index, (name, values) in enumerate(maps.items()):
            pixels = np.random.default_rng(index).integers(0, 255, (*SIZE, 3), np.uint8)
            Image.fromarray(pixels).save(place / "images" / f"{name}.png")
            if values.dtype in (np.uint8, np.uint16):
                Image.fromarray(values).save(place / "values" / f"{name}.png")
            else:
                np.save(place / "values" / f"{name}.npy", values)
        (place / "dataset.json").write_text(json.dumps({"targets": {"height": {"dir": "values", **fields}}}))
        return place

    return write


def ramp(low, high, dtype=np.float32, size=SIZE):
    return np.linspace(low, high, size[0] * size[1]).reshape(size).astype(dtype)


def with_one(values, bad):
    changed = values.copy()
    changed[3, 5] = bad
    return changed


UNUSABLE = {
    "values beyond 1 without a scale": ({"a": ramp(0, 255, np.uint8)}, {"kind": "soft_mask"}, ("'height'", "run from 0 to 255", "range=(0, 255)")),
    "values below 0": ({"a": ramp(0, 1), "b": ramp(-0.5, 1)}, {"kind": "heatmap"}, ("b", "run from -0.5 to 1")),
    "nothing known in any": ({"a": ramp(0, 0, np.uint16)}, {"invalid": 0}, ("a", "'height'", "every value of the dense map is unknown")),
    "nothing known in one": ({"a": ramp(1, 9), "b": ramp(np.nan, np.nan)}, {}, ("b", "every value of the dense map is unknown", "Leave the example out")),
    "infinity": ({"a": ramp(1, 9), "b": with_one(ramp(1, 9), np.inf)}, {}, ("b", "infinite values", "NaN")),
    "minus infinity": ({"a": with_one(ramp(1, 9), -np.inf)}, {"kind": "density"}, ("a", "infinite values")),
    "another shape than the image": ({"a": ramp(1, 9), "b": ramp(1, 9, size=SIZE[::-1])}, {}, ("b", "44x62", "its image 62x44")),
    "another number of channels": ({"a": ramp(1, 9), "b": np.dstack([ramp(1, 9)] * 3)}, {}, ("b", "3 channels here and 1 elsewhere")),
    "a logarithm of nothing": ({"a": with_one(ramp(1, 9), 0)}, {"kind": "log"}, ("a", "at or below 0", 'kind="real"')),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_cannot_be_learned_is_told_with_example_and_field_before_a_network_is_opened(run, folder, tmp_path, method, case):
    maps, fields, words = UNUSABLE[case]
    given = folder(maps, **fields)
    code, out, err = run("learn", given, "--out", tmp_path / "t.task", *method)
    assert (code, out) == (4, "")
    assert all(word in err for word in words), err
    assert not (tmp_path / "t.task").exists()
    assert run("label", given, given / "images", "--out", tmp_path / "out", *method[:4])[0] == 4


def learned(run, given, tmp_path, method):
    """What a method answers for the first image of a folder from which it learned, and all that was said."""
    code, _, told = run("learn", given, "--out", tmp_path / "t.task", *BACKBONE, *method)
    assert code == 0, told
    code, _, err = run("label", tmp_path / "t.task", given / "images" / "a.png", "--out", tmp_path / "out", "--engine", "torch")
    assert code == 0, err
    Image.open(given / "images" / "a.png").save(tmp_path / "out" / "a.jpg")
    found = read_support(tmp_path / "out").support.examples[0].labels.dense["height"]
    assert np.isfinite(found).all()
    return found, told


def test_values_beyond_1_are_learned_once_their_range_is_declared(run, folder, tmp_path, method):
    found, _ = learned(run, folder({"a": ramp(0, 255, np.uint8), "b": ramp(0, 200, np.uint8)}, kind="soft_mask", range=[0, 255]), tmp_path, method)
    assert found.shape == (*SIZE, 1)
    assert 0 <= found.min() <= found.max() <= 255
    assert found.max() > 1


@pytest.mark.filterwarnings("always:every known value")
def test_a_constant_target_is_learned_with_a_warning_and_answered_by_that_constant(run, folder, tmp_path, method):
    found, told = learned(run, folder({"a": ramp(7, 7), "b": ramp(7, 7)}), tmp_path, method)
    assert "warning: every known value of 'height' is 7: that is predicted everywhere" in told
    assert found == pytest.approx(7, abs=1e-3)


def test_one_example_is_enough_and_unknown_pixels_are_left_out(run, folder, tmp_path, method):
    values = ramp(100, 900, np.uint16)
    values[:20] = 0
    found, told = learned(run, folder({"a": values}, invalid=0), tmp_path, method)
    assert "1 examples" in told or "1 labelled image" in told
    assert found.min() > 200  # nothing of the zeros, and of the ramp only what lies below them


def test_a_map_of_another_size_than_its_image_counts_for_the_pixels_under_it(run, folder, tmp_path, method):
    coarse = ramp(2, 6, size=(SIZE[0] // 2, SIZE[1] // 2))
    found, _ = learned(run, folder({"a": coarse, "b": ramp(2, 6)}), tmp_path, method)
    assert found.shape == (*SIZE, 1)
    assert 1 < found.min() <= found.max() < 7
