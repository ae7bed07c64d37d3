"""Dense maps in OpenEXR, where the package is installed; without it the error names the extra."""

import sys

import numpy as np
import pytest

from likewise.errors import InputError, MissingExtraError
from likewise.formats import read_support
from likewise.formats.maps import Encoding, read_dense


@pytest.fixture
def exr():
    return pytest.importorskip("OpenEXR", reason="the extra exr is not installed")


def write(exr, path, channels):
    path.parent.mkdir(parents=True, exist_ok=True)
    with exr.File({"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}, channels) as file:
        file.write(str(path))
    return path


def test_without_the_package_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(MissingExtraError, match=r"likewise\[exr\]"):
        read_dense(tmp_path / "a.exr", Encoding())


def test_depth_and_normals_are_read(exr, put, photo):
    depth = np.random.default_rng(0).random((7, 10)).astype(np.float32) + 1
    depth[0, 0] = 0
    write(exr, put.folder / "depth/a.exr", {"Z": depth})
    put("images/a.png", photo)
    labels = read_support(put.folder).support.examples[0].labels
    assert np.array_equal(labels.dense["depth"][:, :, 0], np.where(depth == 0, np.nan, depth), equal_nan=True)
    normals = np.random.default_rng(1).random((7, 10, 3)).astype(np.float32)
    for channels in ({"RGB": normals}, {name: normals[:, :, place].copy() for place, name in enumerate("XYZ")}):
        assert np.array_equal(read_dense(write(exr, put.folder / "n.exr", channels), Encoding(scale=2)), normals * 2)


def test_what_cannot_be_used_is_refused_by_name(exr, put):
    two = {name: np.zeros((7, 10), np.float32) for name in ("Z", "id")}
    with pytest.raises(InputError, match="channels Z, id"):
        read_dense(write(exr, put.folder / "two.exr", two), Encoding())
    whole = write(exr, put.folder / "half.exr", {"Z": np.random.default_rng(0).random((70, 100)).astype(np.float32)}).read_bytes()
    put("half.exr", whole[: len(whole) // 2])
    put("no.exr", b"nothing")
    for name in ("half.exr", "no.exr"):
        with pytest.raises(InputError, match=r"damaged|not OpenEXR") as caught:
            read_dense(put.folder / name, Encoding())
        assert name in caught.value.where
