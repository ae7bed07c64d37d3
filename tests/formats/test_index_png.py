"""Reading index PNG: layouts, kinds of masks, dense maps, and what is refused."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from likewise.errors import InputError
from likewise.formats import list_images, read_support, read_truth, recognise


def labels(path, **options):
    return read_support(path, **options).support.examples[0].labels


def signed(mask):
    return np.where(mask == 255, -1, mask.astype(int))


def test_images_and_masks_in_two_folders_are_paired_by_name(put, photo, mask):
    put("images/left/a.png", photo)
    put("images/b.jpg", photo)
    put("masks/left/a.png", mask)
    put("classes.json", {"1": "crack", "2": "stain"})
    read = read_support(put.folder)
    assert [example.name for example in read.support.examples] == ["left/a"]
    assert np.array_equal(read.support.examples[0].labels.label_map, signed(mask))
    assert read.format == recognise(put.folder) == "index-png"
    assert "images/ + masks/" in read.sentence
    assert "crack, stain" in read.sentence
    assert [entry.name for entry in list_images(put.folder).entries] == ["b.jpg", "left/a.png"]


@pytest.mark.parametrize("name", ["x.png", "x.jpg.png"])
def test_a_mask_may_lie_next_to_its_image(put, photo, mask, name):
    put("x.jpg", photo)
    put("y.jpg", photo)
    put(name, mask)
    read = read_support(put.folder)
    assert [example.name for example in read.support.examples] == ["x"]
    assert np.array_equal(read.support.examples[0].labels.label_map, signed(mask))
    assert [entry.name for entry in list_images(put.folder).entries] == ["x.jpg", "y.jpg"]


def test_two_images_that_differ_in_their_ending_alone_have_masks_of_their_own(put, photo, mask):
    put("images/a.jpg", photo)
    put("images/a.png", photo)
    put("masks/a.jpg.png", mask)
    put("masks/a.png.png", np.where(mask == 1, 2, 0).astype(np.uint8))
    support = read_support(put.folder).support
    assert [example.name for example in support.examples] == ["a.jpg", "a.png"]
    assert not np.array_equal(support.examples[0].labels.label_map, support.examples[1].labels.label_map)


def test_photographs_of_equal_names_are_not_taken_for_masks(put, photo):
    put("a.jpg", photo)
    put("a.png", photo)
    assert [entry.name for entry in list_images(put.folder).entries] == ["a.jpg", "a.png"]


def test_the_split_gives_its_support_as_examples_and_its_queries_as_images(put, photo, mask):
    for name in "abcd":
        put(f"images/{name}.png", photo)
        put(f"masks/{name}.png", mask)
    put("dataset.json", {"classes": {"1": "x", "2": "y"}, "split": {"support": ["b", "a"], "query": ["c"], "rest": ["d"]}, "other": [1]})
    assert [example.name for example in read_support(put.folder).support.examples] == ["a", "b"]
    assert [entry.name for entry in list_images(put.folder).entries] == ["c.png"]
    assert [example.name for example in read_support(put.folder, split="rest").support.examples] == ["d"]
    assert len(read_support(put.folder, split="all").support) == 4
    assert len(list_images(put.folder, split="all")) == 4
    assert len(read_truth(put.folder)) == 4
    with pytest.raises(InputError, match="did you mean 'query'"):
        list_images(put.folder, split="qery")


def test_without_a_query_split_everything_but_the_support_is_labelled(put, photo, mask):
    for name in "abc":
        put(f"images/{name}.png", photo)
        put(f"masks/{name}.png", mask)
    put("dataset.json", {"split": {"support": ["b"]}})
    assert [entry.name for entry in list_images(put.folder).entries] == ["a.png", "c.png"]


def as_palette(mask):
    image = Image.fromarray(mask)
    image.putpalette([9, 200, 30] * 256)
    return image


@pytest.mark.parametrize(
    "make",
    [
        as_palette,
        Image.fromarray,
        lambda mask: Image.fromarray(mask.astype(np.uint16)),
        lambda mask: Image.fromarray(mask.astype(np.int32)),
        lambda mask: Image.fromarray(np.dstack([mask] * 3)),
        lambda mask: Image.fromarray(np.dstack([mask] * 3 + [np.full_like(mask, 255)])),
        lambda mask: Image.fromarray(np.dstack([mask, np.full_like(mask, 255)])),
    ],
    ids=["palette", "grey", "grey 16 bit", "grey 32 bit", "equal channels", "equal channels and alpha", "grey and alpha"],
)
def test_masks_are_read_in_their_index_values(put, photo, mask, make):
    put("images/a.png", photo)
    put("masks/.keep", "")
    make(mask).save(put.folder / "masks" / ("a.tif" if make(mask).mode == "I" else "a.png"))
    assert np.array_equal(labels(put.folder).label_map, signed(mask))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_masks_of_few_bits_keep_their_index_values(put, photo, bits):
    """Pillow stretches grey of 2 and 4 bits to 0..255, so the file is written by hand."""
    import struct
    import zlib

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    values = np.arange(70).reshape(7, 10) % (2**bits)
    lines = b"".join(b"\0" + np.packbits(np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, -bits:].ravel()).tobytes() for row in values)
    content = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 10, 7, bits, 0, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    )
    put("images/a.png", photo)
    put("masks/a.png", content)
    assert np.array_equal(labels(put.folder).label_map, values)


def test_class_numbers_beyond_254_and_their_ignore_value_survive(put, photo):
    values = np.zeros((7, 10), np.uint16)
    values[1, 1], values[2, 2], values[3, 3] = 300, 65_535, 7
    put("images/a.png", photo)
    put("masks/a.png", values)
    got = labels(put.folder).label_map
    assert (got[1, 1], got[2, 2], got[3, 3]) == (300, -1, 7)


def test_black_and_white_masks_show_one_class_unless_255_is_declared_to_be_ignored(put, photo):
    white = np.zeros((7, 10), np.uint8)
    white[2:4] = 255
    put("images/a.png", photo)
    put("masks/a.png", white)
    put("classes.json", ["crack"])
    read = read_support(put.folder)
    assert (read.support.examples[0].labels.label_map == 1).sum() == 20
    assert "black-and-white" in read.sentence
    put("dataset.json", {"classes": ["crack"], "ignore": 255})
    assert (labels(put.folder).label_map == -1).sum() == 20


def test_another_ignore_value_is_honoured(put, photo, mask):
    put("images/a.png", photo)
    put("masks/a.png", mask)
    put("dataset.json", {"classes": ["x"], "ignore": 2})
    assert np.array_equal(labels(put.folder).label_map == -1, (mask == 2) | (mask == 255))


def test_depth_and_normals_are_read_as_dataset_json_says(put, photo):
    depth = np.arange(70, dtype=np.uint16).reshape(7, 10) * 100
    normals = np.full((14, 20, 3), (1, 128, 255), np.uint8)
    normals[0, 0] = 0
    put("images/a.png", photo)
    put("depth/a.png", depth)
    put("n/a.png", normals)
    encoding = "8-bit RGB, n = (value-1)/127 - 1 for x (right), y (down), z (forward)"
    put("dataset.json", {"depth": {"dir": "depth", "unit": "millimetre", "invalid": 0}, "normals": {"dir": "n", "encoding": encoding, "invalid": [0, 0, 0]}})
    support = read_support(put.folder).support
    assert (support.targets["depth"].unit, support.targets["normals"].kind) == ("mm", "unit_vector")
    dense = support.examples[0].labels.dense
    assert np.isnan(dense["depth"][0, 0, 0])
    assert np.array_equal(dense["depth"].ravel()[1:], depth.ravel()[1:])
    assert np.isnan(dense["normals"][0, 0]).all()
    assert np.allclose(dense["normals"][3, 4], [-(0.5**0.5), 0, 0.5**0.5])  # directions are kept at length 1


@pytest.mark.parametrize("kind", ["png", "npy", "tif", "tiff float"])
def test_dense_maps_are_read_from_every_kind_of_file(put, photo, kind):
    values = (np.arange(70).reshape(7, 10) + 1).astype(np.float32 if "float" in kind else np.uint16)
    path = put.folder / "t" / f"a.{kind.split()[0]}"
    path.parent.mkdir()
    if kind == "png":
        Image.fromarray(values).save(path)
    elif kind == "npy":
        np.save(path, values)
    else:
        tifffile.imwrite(path, values)
    put("images/a.png", photo)
    put("dataset.json", {"targets": {"heat": {"dir": "t", "unit": "degrees", "scale": 0.5, "offset": -10, "invalid": 70}}})
    support = read_support(put.folder).support
    dense = support.examples[0].labels.dense["heat"][:, :, 0]
    assert support.targets["heat"].unit == "deg"
    assert np.isnan(dense[-1, -1])
    assert np.allclose(dense.ravel()[:-1], np.arange(1, 70) * 0.5 - 10)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"images/a.png": "photo", "masks/b.png": "mask"}, "no image of the same name: b.png"),
        ({"images/a.png": "photo", "masks/a.jpg": "mask"}, "JPEG"),
        ({"images/a.png": "photo", "masks/a.png": "photo"}, "colours"),
        ({"images/a.png": "photo", "masks/a.png": b"\x89PNG\r\n\x1a\nnothing"}, "not an image"),
        ({"images/a.png": "photo", "masks/a.png": "mask", "dataset.json": {"split": {"support": ["a", "z"]}}}, "not there: z"),
        ({"images/a.png": "photo", "images/z.png": "photo", "masks/a.png": "mask", "dataset.json": {"split": {"support": ["z"]}}}, "no labels: z"),
        ({"images/a.png": "photo", "masks/a.png": "mask", "dataset.json": {"classes": {"1": "x"}}}, "no class: 2"),
        ({"images/a.png": "photo", "masks/a.png": "mask", "dataset.json": {"split": [1], "ignore": "x"}}, "2 problems:\n.*ignore.*\n.*split"),
        ({"images/a.png": "photo", "masks/a.png": "mask", "dataset.json": "[]"}, "object"),
        ({"images/a.png": "photo", "masks/a.png": "mask", "dataset.json": "{"}, "not valid JSON"),
        ({"images/a.png": "photo", "masks/a.png": "mask", "dataset.json": '{"x": NaN}'}, "NaN"),
        ({"images/a.png": "photo", "masks/a.png": "mask", "dataset.json": "[" * 100_000}, "nested too deeply|not valid JSON"),
        ({"images/a.png": "photo", "depth/a.png": "mask", "dataset.json": {"depth": {"dir": "../../etc"}}}, "lies outside"),
        ({"images/a.png": "photo", "depth/a.png": "mask", "dataset.json": {"depth": {"dir": "deep"}}}, "no folder 'deep'"),
        ({"images/a.png": "photo", "depth/a.png": "mask", "dataset.json": {"depth": {"encoding": "as you like"}}}, "names no formula"),
        ({"images/a.png": "photo", "depth/a.png": "photo", "dataset.json": {"depth": {"invalid": [0, 0]}}}, "2 numbers"),
        ({"images/a.png": "photo", "depth/a.npy": b"\x93NUMPY"}, "NumPy"),
        ({"images/a.png": "photo", "masks/keep.txt": ""}, "no labelled images"),
        ({"images/a.png": "photo", "masks/a.png": np.zeros((10, 7), np.uint8)}, "7x10, its image 10x7"),
    ],
)
def test_what_cannot_be_used_is_refused_before_any_work(put, photo, mask, files, words):
    for name, content in files.items():
        put(name, {"photo": photo, "mask": mask}.get(content, content) if isinstance(content, str) else content)
    with pytest.raises(InputError, match=words) as caught:
        read_support(put.folder)
    assert caught.value.remedy
    assert caught.value.where


def test_a_pickled_array_is_not_opened(put, photo):
    put("images/a.png", photo)
    (put.folder / "depth").mkdir()
    np.save(put.folder / "depth" / "a.npy", np.array([[{"a": 1}]], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="NumPy"):
        read_support(put.folder)


def test_a_folder_without_labels_is_told_what_was_looked_for(put, photo):
    put("a.jpg", photo)
    with pytest.raises(InputError, match=r"images/ \+ masks/.*annotations.*shapes"):
        recognise(put.folder)
    with pytest.raises(InputError, match="no such file"):
        recognise(put.folder / "none")


@pytest.mark.parametrize(
    ("name", "support", "query", "shown"),
    [
        ("landmark", 3, 20, "class: building"),
        ("objects", 20, 40, "aeroplane"),
        ("camvid", 14, 20, "sky"),
        ("steel_defects", 9, 37, "inclusion"),
        ("tile_defects", 14, 30, "blowhole"),
        ("cracks", 5, 27, "crack"),
        ("retina", 4, 18, "vessel"),
        ("nuclei", 6, 26, "nucleus"),
        ("crops", 4, 26, "weed"),
        ("subjects", 8, 15, "corgi"),
        ("rgbd", 6, 20, "depth (mm), normals"),
        ("coco_mini", 21, 47, "person"),
    ],
)
def test_the_real_sets_are_read_with_their_split(shared, name, support, query, shown):
    read = read_support(shared / name)
    assert (len(read.support), len(list_images(shared / name)), read.split) == (support, query, "support")
    assert shown in read.sentence
    for example in read.support.examples[:2]:
        if example.labels.label_map is not None:
            raw = np.asarray(Image.open(shared / name / "masks" / f"{example.name}.png"))
            assert np.array_equal(example.labels.label_map, np.where(raw == 255, -1, raw.astype(int)))


def test_normals_of_the_real_set_are_unit_vectors_that_face_the_camera(shared):
    dense = read_support(shared / "rgbd").support.examples[0].labels.dense
    known = dense["normals"][np.isfinite(dense["normals"]).all(axis=2)]
    assert np.allclose(np.linalg.norm(known, axis=1), 1, atol=0.02)
    assert (known[:, 2] < 0).mean() > 0.99
    raw = np.asarray(Image.open(shared / "rgbd" / "depth" / "frame_0000.png"))
    assert np.array_equal(np.isnan(dense["depth"][:, :, 0]), raw == 0)


@pytest.mark.parametrize("place", ["masks/a.instances.png", "instances/a.png"])
def test_objects_are_told_apart_by_a_second_png(put, photo, place):
    classes, numbers = np.zeros((7, 10), np.uint8), np.zeros((7, 10), np.uint16)
    classes[1:3, 1:9], classes[5, :] = 1, 2
    numbers[1:3, 1:4], numbers[1:3, 4:9], numbers[5, 2:4] = 7, 40_000, 9
    put("images/a.png", photo)
    put("masks/a.png", classes)
    put(place, numbers)
    labels = read_support(put.folder).support.examples[0].labels
    assert {number: [one.box for one in objects] for number, objects in labels.instances.items()} == {1: [(1, 1, 4, 3), (4, 1, 9, 3)], 2: [(2, 5, 4, 6)]}
    assert np.array_equal(labels.label_map, classes)
    put(place, numbers[:6])
    with pytest.raises(InputError, match="it is 10x6, the mask 10x7"):
        read_support(put.folder)
