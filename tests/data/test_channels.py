"""Pictures with many or deep channels: which are shown, how they are scaled, and what is refused."""

import numpy as np
import pytest
import tifffile

from likewise.data.channels import ChannelImage, Channels
from likewise.data.images import image_digest, image_size, read_image
from likewise.data.limits import limited_pixels
from likewise.errors import ImageError, UsageError

RANDOM = np.random.default_rng(8)


def shown(path, *numbers):
    return ChannelImage(str(path), Channels(numbers))


def scaled(plane):
    low, high = np.percentile(plane, [2, 98])
    return np.rint(np.clip((plane - low) / (high - low), 0, 1) * 255)


@pytest.mark.parametrize("layout", ["bands", "planes", "pages"])
def test_channels_are_bands_planes_or_pages_and_scaled_by_percentiles(tmp_path, layout):
    values = RANDOM.integers(100, 40_000, (5, 7, 10)).astype(np.uint16)  # channel, row, column
    path = tmp_path / "a.tif"
    if layout == "bands":
        tifffile.imwrite(path, values.transpose(1, 2, 0), photometric="minisblack", planarconfig="contig")
    elif layout == "planes":
        tifffile.imwrite(path, values, photometric="minisblack", planarconfig="separate")
    else:
        tifffile.imwrite(path, values, photometric="minisblack")
    pixels = read_image(shown(path, 4, 1, 5))
    assert pixels.dtype == np.uint8
    assert image_size(shown(path, 4, 1, 5)) == (7, 10)
    for place, channel in enumerate((3, 0, 4)):
        assert np.array_equal(pixels[:, :, place], scaled(values[channel]))
    grey = read_image(shown(path, 2))
    assert np.array_equal(grey, np.repeat(scaled(values[1])[:, :, None], 3, axis=2))


def test_channels_of_eight_bits_are_shown_as_they_are(tmp_path):
    values = RANDOM.integers(0, 256, (7, 10, 4)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", planarconfig="contig")
    assert np.array_equal(read_image(shown(tmp_path / "a.tif", 4, 2, 1)), values[:, :, [3, 1, 0]])


def test_what_means_no_data_is_left_out_of_the_percentiles_and_black(tmp_path):
    values = RANDOM.random((7, 10)).astype(np.float32)
    values[0, 0], values[1, 1], values[2, 2] = np.nan, np.inf, -9999
    tifffile.imwrite(tmp_path / "a.tif", values, extratags=[(42_113, 2, 6, "-9999", True)])
    known = np.isfinite(values) & (values != -9999)
    low, high = np.percentile(values[known].astype(float), [2, 98])
    expected = np.where(known, np.rint(np.clip((np.where(known, values, 0) - low) / (high - low), 0, 1) * 255), 0)
    assert np.array_equal(read_image(shown(tmp_path / "a.tif", 1))[:, :, 0], expected)


def test_the_size_of_a_picture_that_needs_channels_is_known_and_its_refusal_says_how_to_choose(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((7, 10, 5), np.uint16), photometric="minisblack", planarconfig="contig")
    assert image_size(path) == (7, 10)
    with pytest.raises(ImageError, match="--channels"):
        read_image(path)
    assert image_digest(shown(path, 1)) == image_digest(path)


@pytest.mark.parametrize("text", ["", "1,2", "0", "1,2,x", "-1", "1,2,3,4", "1.5"])
def test_channels_are_one_number_or_three(text):
    with pytest.raises(UsageError, match="names no channels"):
        Channels.parse(text)
    assert Channels.parse(" 4, 3,2 ").numbers == (4, 3, 2)


def test_what_cannot_be_shown_is_refused_by_name(tmp_path):
    tifffile.imwrite(tmp_path / "two.tif", np.zeros((2, 7, 10), np.uint16))
    with pytest.raises(ImageError, match="no channel 3, it has 2"):
        read_image(shown(tmp_path / "two.tif", 3))
    tifffile.imwrite(tmp_path / "deep.tif", np.zeros((2, 3, 7, 10), np.uint16), metadata={"axes": "ZCYX"}, ome=True)
    with pytest.raises(ImageError, match="axes"):
        read_image(shown(tmp_path / "deep.tif", 1))
    with pytest.raises(ImageError, match="10x7 pixels are more than 60"), limited_pixels(60):
        read_image(shown(tmp_path / "two.tif", 1))
    (tmp_path / "no.tif").write_bytes(b"II*\0" + bytes(20))
    for name in ("no.tif", "gone.tif"):
        with pytest.raises(ImageError, match="not a TIFF") as caught:
            read_image(shown(tmp_path / name, 1))
        assert name in caught.value.where
