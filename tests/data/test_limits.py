"""The limit of pixels is asked of headers: beyond it no decoder runs, whatever kind of file it is and whoever opens it."""

import base64
import contextvars
import io
import json
import lzma
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFile, Jpeg2KImagePlugin, WebPImagePlugin

from likewise.data.channels import ChannelImage, Channels
from likewise.data.images import image_size, read_image
from likewise.data.limits import check_pixels, limited_pixels, pixel_limit, set_pixel_limit
from likewise.errors import ImageError, InputError, UsageError
from likewise.formats.labelme import opened
from likewise.formats.maps import Encoding, decode_index_mask, read_colours, read_dense, read_index_mask

# the decoders that the test replaces leave files open that Pillow's own close
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
GREY = np.arange(70, dtype=np.uint8).reshape(7, 10) % 3
COLOURS = np.dstack([GREY, GREY + 1, GREY + 2])
PICTURES = ("png", "jpg", "bmp", "tif", "webp", "gif", "ppm", "jp2")


class DecodedError(Exception):
    """A decoder was called."""


@pytest.fixture
def arm(monkeypatch):
    """A function after which every decoder that we use tells when it is called."""

    def called(*_, **__):
        raise DecodedError

    def armed():
        for kind in (Image.Image, ImageFile.ImageFile, WebPImagePlugin.WebPImageFile, Jpeg2KImagePlugin.Jpeg2KImageFile):
            monkeypatch.setattr(kind, "load", called)
        monkeypatch.setattr(tifffile.TiffPage, "asarray", called)
        monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", called)
        monkeypatch.setattr("likewise.formats.maps._stored", called)

    return armed


@pytest.fixture
def refuses(arm):
    """Checks that a call gets to a decoder without a limit, and is refused by the size of the image before that with one."""

    def check(call):
        arm()
        with pytest.raises((DecodedError, InputError)) as free:
            call()
        assert isinstance(free.value if isinstance(free.value, DecodedError) else free.value.__cause__, DecodedError)
        with limited_pixels(69), pytest.raises(InputError, match="10x7") as refused:
            call()
        assert "--max-pixels" in refused.value.remedy

    return check


def packed(array, ending="png"):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, {"jpg": "JPEG", "tif": "TIFF", "jp2": "JPEG2000"}.get(ending, ending.upper()))
    return stream.getvalue()


@pytest.mark.parametrize("ending", PICTURES)
def test_a_picture_is_not_decoded(tmp_path, refuses, ending):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(packed(COLOURS, ending))
    refuses(lambda: read_image(path))
    with limited_pixels(69), pytest.raises(ImageError, match="10x7"):
        image_size(path)


@pytest.mark.parametrize("ending", ["png", "tif", "bmp", "gif"])
def test_a_mask_is_not_decoded(tmp_path, refuses, ending):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(packed(GREY, ending))
    refuses(lambda: read_index_mask(path))
    refuses(lambda: read_colours(path))
    refuses(lambda: decode_index_mask(path.read_bytes(), "in memory", (7, 10)))


def test_a_dense_map_is_not_decoded(tmp_path, refuses):
    (tmp_path / "a.png").write_bytes(packed(GREY))
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(np.float32), photometric="minisblack")
    np.save(tmp_path / "a.npy", GREY.astype(np.float32))
    for name in ("a.png", "a.tif", "a.npy"):
        refuses(lambda name=name: read_dense(tmp_path / name, Encoding()))


def test_channels_are_not_decoded(tmp_path, refuses):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 7, 10), np.uint16), photometric="minisblack")
    refuses(lambda: read_image(ChannelImage(str(tmp_path / "a.tif"), Channels((3, 2, 1)))))


def test_a_picture_in_a_label_file_and_one_that_a_caller_opened_are_not_decoded(tmp_path, refuses):
    content = packed(COLOURS)
    embedded = base64.b64encode(content).decode()
    about = {"shapes": [], "imagePath": "", "imageData": embedded, "imageHeight": None, "imageWidth": None}
    (tmp_path / "a.json").write_text(json.dumps(about))
    refuses(lambda: read_image(opened(tmp_path).example("a").image))
    with Image.open(io.BytesIO(content)) as image:
        refuses(lambda: read_image(image))


def test_openexr_is_not_decoded(tmp_path, monkeypatch, refuses):
    exr = pytest.importorskip("OpenEXR", reason="the extra exr is not installed")
    with exr.File({"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}, {"Z": GREY.astype(np.float32)}) as file:
        file.write(str(tmp_path / "a.exr"))
    whole = exr.File

    def header_alone(path, *, header_only=False):
        if not header_only:
            raise DecodedError
        return whole(path, header_only=True)

    monkeypatch.setattr(exr, "File", header_alone)
    refuses(lambda: read_dense(tmp_path / "a.exr", Encoding()))


def test_an_array_whose_header_lies_is_refused_at_once(tmp_path):
    for shape, words in (((60_000, 60_000), "60000x60000"), ((2, 2, 10**10), "values in all"), ((10**12,), "shape")):
        path = tmp_path / "a.npy"
        with path.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
            stream.truncate(stream.tell() + int(np.prod(shape, dtype=np.int64)))  # a file with a hole takes no place on the disk
        with pytest.raises(InputError, match=words):
            read_dense(path, Encoding())
        path.unlink()


def test_planes_of_a_tiff_are_counted_by_their_own_size(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 20, 30), np.uint8), photometric="rgb", planarconfig="separate")
    with limited_pixels(599), pytest.raises(InputError, match="30x20"):
        read_dense(tmp_path / "a.tif", Encoding())


def rewritten(path, content, compression):
    """A TIFF of 7x10 whose only strip holds other bytes."""
    tifffile.imwrite(path, GREY, compression=None, rowsperstrip=7)
    with tifffile.TiffFile(path, mode="r+") as file:
        page = file.pages[0]
        place = file.filehandle.size
        page.tags["Compression"].overwrite(compression)
        page.tags["StripOffsets"].overwrite(place)
        page.tags["StripByteCounts"].overwrite(len(content))
    with path.open("ab") as stream:
        stream.write(content)
    return path


@pytest.mark.parametrize(("compression", "pack"), [(8, zlib.compress), (34_925, lzma.compress)])
def test_a_strip_that_unfolds_to_more_than_it_says_is_refused_before_it_is_unfolded_whole(tmp_path, arm, compression, pack):
    bomb = rewritten(tmp_path / "bomb.tif", pack(bytes(1 << 26)), compression)
    arm()
    with pytest.raises(InputError, match="unfolds to more"):
        read_dense(bomb, Encoding())
    with pytest.raises(ImageError, match="unfolds to more"):
        read_image(ChannelImage(str(bomb), Channels((1,))))


@pytest.mark.parametrize(("compression", "pack"), [(8, zlib.compress), (34_925, lzma.compress)])
def test_a_strip_that_holds_what_it_says_is_read(tmp_path, compression, pack):
    fine = rewritten(tmp_path / "fine.tif", pack(GREY.tobytes()), compression)
    assert np.array_equal(read_dense(fine, Encoding()), GREY)


def test_a_file_of_another_kind_behind_an_image_ending_is_not_given_to_its_decoder(tmp_path):
    """Pillow would hand PostScript to a program."""
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 7\n%%EndComments\nshowpage\n")
    with Image.open(path) as image:
        assert image.format == "EPS"
    for read in (read_image, image_size, read_index_mask):
        with pytest.raises(InputError, match="not an image"):
            read(path)


def test_the_limit_holds_in_its_context_and_ends_with_it():
    usual = pixel_limit()
    with limited_pixels(5):
        with pytest.raises(InputError):
            check_pixels((2, 3), "here")
        check_pixels((1, 5), "here", values=40)
        with pytest.raises(ImageError, match="values"):
            check_pixels((1, 5), "here", values=41, kind=ImageError)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(contextvars.copy_context().run, pixel_limit).result() == 5
    assert pixel_limit() == usual
    contextvars.copy_context().run(set_pixel_limit, 3)
    assert pixel_limit() == usual
    with pytest.raises(UsageError, match="0 pixels"), limited_pixels(0):
        pass
    assert pixel_limit() == usual
