"""Pixels of every kind of file, against Pillow's own conversions and values computed by hand."""

import hashlib
import io
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from likewise.data.images import describe_source, image_digest, image_size, is_image_path, read_image
from likewise.errors import ImageError

RNG = np.random.default_rng(3)
PHOTO = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)


def saved(folder: Path, image: Image.Image, name: str, **options) -> Path:
    path = folder / name
    image.save(path, **options)
    return path


def test_a_colour_png_comes_back_as_it_was_written(tmp_path):
    path = saved(tmp_path, Image.fromarray(PHOTO), "a.png")
    assert np.array_equal(read_image(path), PHOTO)
    assert image_size(path) == (5, 7)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_rotation_is_applied_to_pixels_and_size(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(PHOTO), "a.png", exif=exif)
    turns = {1: PHOTO, 2: PHOTO[:, ::-1], 3: PHOTO[::-1, ::-1], 4: PHOTO[::-1], 5: PHOTO.transpose(1, 0, 2)}
    turns |= {6: np.rot90(PHOTO, -1), 7: np.rot90(PHOTO, 2).transpose(1, 0, 2), 8: np.rot90(PHOTO, 1)}
    assert np.array_equal(read_image(path), turns[orientation])
    assert image_size(path) == turns[orientation].shape[:2]


@pytest.mark.parametrize(("top", "expected"), [(255, 255), (1000, 249), (4095, 255), (65_535, 255)])
def test_grey_of_16_bits_is_scaled_by_the_bits_it_uses(tmp_path, top, expected):
    values = np.zeros((4, 6), np.uint16)
    values[1, 2] = top
    path = tmp_path / "grey.png"
    Image.fromarray(values).save(path)
    pixels = read_image(path)
    assert pixels.shape == (4, 6, 3)
    assert pixels[1, 2].tolist() == [expected] * 3
    assert pixels[0, 0].tolist() == [0] * 3
    assert np.array_equal(pixels, read_image(values))


def test_a_palette_image_gives_its_colours(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2], [2, 1, 0]], np.uint8))
    image.putpalette([0, 0, 0, 10, 20, 30, 200, 100, 50])
    pixels = read_image(saved(tmp_path, image, "p.png"))
    assert pixels[0].tolist() == [[0, 0, 0], [10, 20, 30], [200, 100, 50]]


def test_transparent_pixels_are_laid_on_white(tmp_path):
    rgba = np.zeros((3, 4, 4), np.uint8)
    rgba[0, 0] = [10, 20, 30, 255]
    pixels = read_image(saved(tmp_path, Image.fromarray(rgba), "t.png"))
    assert pixels[0, 0].tolist() == [10, 20, 30]
    assert pixels[2, 3].tolist() == [255, 255, 255]
    assert np.array_equal(pixels, read_image(rgba))


def test_cmyk_is_converted_as_pillow_does(tmp_path):
    image = Image.fromarray(PHOTO).convert("CMYK")
    path = saved(tmp_path, image, "c.jpg", quality=95)
    with Image.open(path) as opened:
        assert opened.mode == "CMYK"
        assert np.array_equal(read_image(path), np.asarray(opened.convert("RGB")))


def test_an_image_of_one_pixel_is_read(tmp_path):
    path = saved(tmp_path, Image.new("L", (1, 1), 7), "one.png")
    assert read_image(path).tolist() == [[[7, 7, 7]]]


def test_one_bit_images_are_black_and_white(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.array([[True, False, True]])), "bit.png")
    assert read_image(path)[0].tolist() == [[255] * 3, [0] * 3, [255] * 3]


def test_a_truncated_image_is_refused_by_name(tmp_path):
    whole = saved(tmp_path, Image.fromarray(RNG.integers(0, 256, (64, 80, 3), dtype=np.uint8)), "a.jpg").read_bytes()
    path = tmp_path / "cut.jpg"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=r"cut\.jpg.*damaged"):
        read_image(path)


def test_a_huge_image_is_refused_from_its_header_alone(tmp_path):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    path = tmp_path / "bomb.png"
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b""))
    with pytest.raises(ImageError, match=r"bomb.png: 60000x60000 is 3,600,000,000 pixels") as caught:
        read_image(path)
    assert "--max-pixels" in caught.value.remedy
    with pytest.raises(ImageError, match="limit"):
        image_size(path)


def test_a_large_photograph_is_within_the_limit(tmp_path):
    path = saved(tmp_path, Image.new("L", (12_000, 9_000), 9), "large.jpg")
    assert image_size(path) == (9_000, 12_000)
    assert read_image(path, at_least=(560, 750)).shape == (1125, 1500, 3)


def test_a_jpeg_is_decoded_small_only_while_it_stays_large_enough(tmp_path):
    path = saved(tmp_path, Image.fromarray(RNG.integers(0, 256, (320, 480, 3), dtype=np.uint8)), "a.jpg")
    assert read_image(path, at_least=(100, 150)).shape == (107, 160, 3) or read_image(path, at_least=(100, 150)).shape == (160, 240, 3)
    assert min(np.array(read_image(path, at_least=(100, 150)).shape[:2]) / [100, 150]) >= 1
    assert read_image(path, at_least=(300, 450)).shape == (320, 480, 3)


def test_several_pages_are_refused(tmp_path):
    path = tmp_path / "pages.tif"
    Image.new("L", (3, 2)).save(path, save_all=True, append_images=[Image.new("L", (3, 2))])
    with pytest.raises(ImageError, match="2 pages"):
        read_image(path)


def test_floating_point_pixels_are_refused(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.ones((2, 3), np.float32)), "f.tif")
    with pytest.raises(ImageError, match="floating-point"):
        read_image(path)


@pytest.mark.parametrize(("content", "reason"), [(b"", "not an image"), (b"hello", "not an image"), (None, "no such file")])
def test_what_is_no_image_is_refused(tmp_path, content, reason):
    path = tmp_path / "x.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=reason):
        read_image(path)


@given(st.binary(max_size=300), st.integers(0, 200))
def test_damaged_bytes_give_pixels_or_one_error_and_nothing_else(garbage, place):
    stream = io.BytesIO()
    Image.fromarray(PHOTO).save(stream, "PNG")
    content = stream.getvalue()[:place] + garbage
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "g.png"
        path.write_bytes(content)
        refused = ""
        try:
            assert read_image(path).ndim == 3
        except ImageError as error:
            refused = error.where
        assert refused in ("", str(path))


@pytest.mark.parametrize(
    "array", [np.zeros((2, 3), np.float32), np.zeros((2, 3, 5), np.uint8), np.zeros((0, 3), np.uint8), np.zeros((2, 3, 3), np.uint16), np.zeros(4, np.uint8)]
)
def test_arrays_that_are_no_images_are_refused(array):
    with pytest.raises(ImageError):
        read_image(array)


def test_arrays_of_every_allowed_kind_become_rgb():
    grey = PHOTO[:, :, 0]
    assert np.array_equal(read_image(PHOTO), PHOTO)
    assert np.array_equal(read_image(grey), np.dstack([grey] * 3))
    assert np.array_equal(read_image(grey[:, :, None]), np.dstack([grey] * 3))
    assert read_image(grey > 128).max() == 255
    assert image_size(grey) == (5, 7)


def test_the_callers_image_and_array_are_left_alone():
    image = Image.fromarray(PHOTO)
    array = PHOTO.copy()
    assert np.array_equal(read_image(image), PHOTO)
    read_image(array)[:] = 0
    assert np.array_equal(np.asarray(image), PHOTO)
    assert np.array_equal(array, PHOTO)


def test_a_digest_names_bytes_or_pixels(tmp_path):
    path = saved(tmp_path, Image.fromarray(PHOTO), "a.png")
    assert image_digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert image_digest(PHOTO) == image_digest(Image.fromarray(PHOTO))
    assert image_digest(PHOTO) != image_digest(PHOTO[:, ::-1].copy())
    with pytest.raises(ImageError, match="cannot be read"):
        image_digest(tmp_path / "none.png")


def test_hidden_files_and_other_endings_are_no_images():
    assert [is_image_path(Path(name)) for name in ("a.JPG", "b.tiff", ".c.png", "d.txt", "png")] == [True, True, False, False, False]
    assert describe_source("x/y.png") == "x/y.png"
    assert "in memory" in describe_source(PHOTO)


def test_the_size_of_an_image_that_ends_early_is_refused_by_name(tmp_path):
    path = tmp_path / "half.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(ImageError, match="damaged") as caught:
        image_size(path)
    assert caught.value.where == str(path)
