"""Lists of images, truths, and the face of the room."""

import gc
import subprocess
import sys
import weakref

import numpy as np
import pytest

import likewise.formats as formats
from likewise.errors import InputError, UsageError
from likewise.formats import ImageList, list_images, read_support, read_truth
from likewise.formats.files import read_bytes


def names(images):
    return [entry.name for entry in images.entries]


def test_a_folder_is_listed_in_order_with_its_subfolders_and_without_hidden_files(put, photo):
    for name in ("b.png", "a/z.JPG", "a/b.tif", ".hidden.png", ".cache/x.png"):
        put(name, photo)
    put("notes.txt", "x")
    images = list_images(put.folder)
    assert names(images) == ["a/b.tif", "a/z.JPG", "b.png"]
    assert all(entry.path == put.folder / entry.name for entry in images.entries)
    assert "3 images" in images.sentence
    assert names(list_images(put.folder, recursive=False)) == ["b.png"]
    assert [entry.name for entry in images.entries[1:]] == ["a/z.JPG", "b.png"]
    assert images.entries[-1].name == "b.png"
    assert len(images) == len(images.entries) == 3


def test_links_to_files_are_followed_and_links_to_folders_are_not(put, photo):
    put("real/a.png", photo)
    (put.folder / "b.png").symlink_to(put.folder / "real" / "a.png")
    (put.folder / "loop").symlink_to(put.folder)
    assert names(list_images(put.folder)) == ["b.png", "real/a.png"]


def test_one_image_is_a_list_of_one(put, photo):
    assert names(list_images(put("x/a.png", photo))) == ["a.png"]


def test_a_text_file_lists_paths_relative_to_itself_once_each(put, photo):
    for name in ("set/one/a.png", "set/two/b.png"):
        put(name, photo)
    path = put("lists/all.txt", f"# images\n../set/two/b.png\n\n../set/one/../one/a.png\n{put.folder}/set/one/a.png\n")
    images = list_images(path)
    assert names(images) == ["one/a.png", "two/b.png"]
    assert all(entry.path.is_file() for entry in images.entries)
    assert "a list of 2 images" in images.sentence


def test_images_alone_are_listed_where_that_is_asked_for(put, photo, mask):
    put("x.jpg", photo)
    put("x.png", mask)
    assert names(list_images(put.folder)) == ["x.jpg"]
    assert names(list_images(put.folder, format="images")) == ["x.jpg", "x.png"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none", None, "no such file"),
        ("empty/.keep", "", "no images"),
        ("a.csv", "x", "neither an image nor a list"),
        ("a.txt", "# nothing\n", "names no image"),
        ("a.txt", b"\xff\xfe\xff", "UTF-8"),
    ],
)
def test_what_is_no_list_of_images_is_refused(put, name, content, words):
    path = put.folder / name if content is None else put(name, content)
    with pytest.raises(InputError, match=words):
        list_images(path.parent if path.name == ".keep" else path)


def test_a_split_needs_a_dataset_json(put, photo):
    put("a.png", photo)
    with pytest.raises(InputError, match="no split 'query' here"):
        list_images(put.folder, split="query")


def test_entries_are_made_when_asked_for_and_kept_nowhere(tmp_path):
    images = ImageList([f"{number:07}.jpg" for number in range(20_000)], tmp_path, "")
    first = weakref.ref(images.entries[0])
    total = sum(1 for _ in images.entries)
    gc.collect()
    assert total == 20_000
    assert images.entries[19_999].path == tmp_path / "0019999.jpg"
    assert first() is None


def test_names_without_their_ending_match_and_ambiguous_ones_do_not(put, photo, mask):
    for name in ("one/a", "two/a", "two/b"):
        put(f"images/{name}.png", photo)
        put(f"masks/{name}.png", mask)
    truth = read_truth(put.folder)
    assert truth.labels("two/a.jpg", size=(7, 10)) is not None
    assert truth.labels("elsewhere/b.jpg", size=(7, 10)) is not None
    assert truth.labels("a.jpg", size=(7, 10)) is None
    assert dict(truth.classes.names) == {1: "class 1", 2: "class 2"}
    with pytest.raises(InputError, match="10x7, its image 10x8"):
        truth.labels("b", size=(8, 10))


def test_a_split_of_classes_is_told_from_a_split_of_images(shared):
    with pytest.raises(InputError, match=r"names 16 that are not there(.|\n)*lists classes"):
        read_support(shared / "classes_mini", split="train")
    assert read_support(shared / "salient_train", split="val").split == "val"


def test_a_format_that_is_named_is_not_guessed(put, photo, mask):
    put("a.png", photo)
    with pytest.raises(UsageError, match="did you mean 'coco'"):
        read_support(put.folder, format="cocoo")
    for name, words in (("coco", "no COCO file"), ("labelme", "no labelme files"), ("index-png", "no index masks"), ("examples", "cannot be read")):
        with pytest.raises(InputError, match=words):
            read_support(put.folder, format=name)
    with pytest.raises(InputError, match="not a folder"):
        read_support(put.folder / "a.png", format="index-png")
    with pytest.raises(InputError, match="no such file"):
        read_support(put.folder / "none", format="index-png")


def test_files_beyond_the_limit_are_not_read(put):
    with pytest.raises(InputError, match="limit is 3"):
        read_bytes(put("a.json", "12345"), limit=3)


def test_the_face_is_complete_and_the_room_needs_no_torch():
    assert sorted(formats.__all__) == formats.__all__
    assert all(hasattr(formats, name) for name in formats.__all__)
    code = "import sys, likewise.formats; sys.exit('torch' in sys.modules or 'tifffile' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_support_and_truth_of_the_real_sets_agree(shared):
    for name in ("nuclei", "steel_defects"):
        read, truth = read_support(shared / name), read_truth(shared / name)
        for example in read.support.examples:
            assert np.array_equal(truth.labels(example.name, size=example.labels.size).label_map, example.labels.label_map)
