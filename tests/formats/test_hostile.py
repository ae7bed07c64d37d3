"""Files that mean harm, or look like it: each is refused by name or handled safely, within seconds and within memory, and writes nothing.

The files stand in tests/fixtures/hostile, a folder a case, made by make_hostile.py there.
"""

import contextlib
import importlib.util
import json
import os
import resource
import signal
import unicodedata
from pathlib import Path

import pytest

from likewise.cli import main
from likewise.data.limits import limited_pixels
from likewise.errors import InputError, LikewiseError
from likewise.formats import list_images, read_support
from likewise.formats.converting import convert, plan

CORPUS = Path(__file__).parents[1] / "fixtures" / "hostile"
SECONDS, MEMORY = 60, 2 << 30  # for one case, far beyond what it takes: neither a hang nor gigabytes
SAFE = ""  # it is read
WRITTEN = ("coco", "csv", "folders", "voc", "yolo")  # those that write names of classes as names of folders, cells and lines

spec = importlib.util.spec_from_file_location("make_hostile", CORPUS / "make_hostile.py")
make_hostile = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_hostile)

EXPECTED = {
    "png-says-huge": "60000x60000",
    "png-mask-says-huge": "60000x60000",
    "png-mask-unfolds": "5000x5000, its image 10x7",
    "png-text-unfolds": "too large",
    "png-without-end": "damaged",
    "png-of-nothing": "not an image",
    "png-no-pixels": "not an image",
    "jpeg-without-end": "header cannot be read",
    "text-as-png": "not an image",
    "html-as-png": "not an image",
    "postscript-as-png": "not an image",
    "colours-as-mask": "holds colours",
    "text-as-mask": "not an image",
    "empty-mask": SAFE,
    "mask-class-unknown": "no class: 9",
    "mask-beyond-classes": "65000",
    "split-out-of-folder": "not there",
    "target-out-of-folder": "outside",
    "points-out-of-folder": "not a path inside",
    "scale-runs-over": "infinite",
    "tiff-says-huge": "60000x60000",
    "tiff-strip-unfolds": "unfolds to more",
    "tiff-without-end": "not a TIFF",
    "tiff-image-says-huge": "60000x60000",
    "npy-says-huge": "not a NumPy array",
    "npy-many-values": "not a NumPy array",
    "npy-with-objects": "not a NumPy array",
    "npy-is-an-archive": "several arrays",
    "npy-infinite": "infinite",
    "npy-all-unknown": "unknown",
    "exr-without-end": "OpenEXR",
    "coco-out-of-folder": "outside",
    "coco-absolute": "not a path inside",
    "coco-backslashes": "outside",
    "coco-drive": "not a path inside",
    "coco-zero-in-name": "not a path inside",
    "coco-half-a-letter": "no name of a file",
    "coco-long-name": "no name of a file",
    "coco-nan": "NaN",
    "coco-infinity": "finite",
    "coco-far": "far outside",
    "coco-long-outline": "pixels long",
    "coco-class-unknown": "no category 7",
    "coco-ids-twice": "twice",
    "coco-categories-twice": "twice",
    "coco-size-huge": "1000000x1000000",
    "coco-size-long-number": "no size of an image",
    "coco-size-below-zero": "its size is -10x-7",
    "coco-runs-too-long": "add up to",
    "coco-runs-of-letters": "cannot",
    "coco-two-corners": "at least three",
    "coco-not-utf8": "not valid JSON",
    "coco-without-end": "not valid JSON",
    "class-script": SAFE,
    "class-formula": SAFE,
    "class-out-of-folder": SAFE,
    "class-device": SAFE,
    "class-long": "300 characters",
    "class-escapes": "cannot be shown",
    "class-line-break": "cannot be shown",
    "class-half-a-letter": "cannot be shown",
    "class-empty": "has no name",
    "class-twice": "two numbers",
    "examples-key-twice": "written twice",
    "examples-mask-out-of-folder": "outside",
    "examples-class-of-digits": "5000 characters",
    "examples-far-box": "outside the image",
    "examples-nan": "NaN",
    "voc-out-of-folder": "outside",
    "voc-laughs": "document type",
    "voc-entity-outside": "document type",
    "voc-nan": "four numbers",
    "voc-infinity": "four numbers",
    "voc-deep": "nested too deeply",
    "voc-size-huge": "100000x100000",
    "voc-without-end": "not valid XML",
    "cvat-out-of-folder": "outside",
    "cvat-infinity": "not finite",
    "cvat-far": "far outside",
    "cvat-mask-beyond": "do not add up",
    "cvat-size-huge": "999999x999999",
    "cvat-laughs": "document type",
    "cvat-unknown-encoding": "unknown encoding",
    "cvat-image-twice": "twice",
    "yolo-out-of-folder": SAFE,  # paths of other machines are looked for in the folder alone
    "yolo-laughs": "aliases",
    "yolo-deep": "nested too deeply",
    "yolo-runs-code": SAFE,  # a name is text, whatever its tag asks for
    "yolo-class-unknown": "no class 7",
    "yolo-nan": "not finite",
    "yolo-far": "outside 0..1",
    "yolo-long-list": SAFE,
    "studio-out-of-folder": "not there",
    "studio-long-address": "names no image",
    "studio-strokes-lie": "4294967295 values",
    "studio-long-number": "far outside",
    "studio-size-huge": "1000000x1000000",
    "studio-task-twice": "two tasks",
    "labelme-out-of-folder": "outside",
    "labelme-image-without-end": "damaged",
    "labelme-image-says-huge": "60000x60000",
    "labelme-image-is-text": "not base64",
    "labelme-size-below-zero": "greater than or equal to 0",
    "labelme-mask-larger": "5000x5000 does not fit",
    "labelme-list-not-utf8": "UTF-8",
    "labelme-nan": "NaN",
    "labelme-far": "far outside",
    "csv-out-of-folder": "outside",
    "csv-formula": SAFE,
    "csv-zero": "cannot be shown",
    "csv-image-twice": "'cat' and 'dog'",
    "vectors-say-huge": "does not hold",
    "vectors-with-objects": "does not hold",
    "vectors-run-over": "finite",
    "panoptic-out-of-folder": "outside",
    "panoptic-segment-missing": "no pixel",
    "panoptic-segment-twice": "2 times",
}
LARGE = {
    "json-deep": "nested too deeply",
    "coco-million-corners": SAFE,
    "labelme-million-corners": SAFE,
    "yolo-million-corners": SAFE,
    "yolo-deep-yaml": "nested too deeply",
    "xml-deep": "nested too deeply",
    "key-many-times": "written twice",
}


@pytest.fixture(autouse=True)
def bounded():
    """No case may hang, nor take gigabytes: beyond the bound memory runs out, and that is no refusal by name."""
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, before[1]))
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, before)


def refused(folder, words, capsys):
    """Refused on the command line and in Python alike, by words that say why and that no terminal obeys; listing images names none outside."""
    code = main(["check", str(folder)])
    said = capsys.readouterr()
    told = said.out + said.err
    assert code == (2 if "OpenEXR needs" in told else 4), told
    assert words in told
    assert not [letter for letter in told if letter != "\n" and unicodedata.category(letter) in ("Cc", "Cs")]
    assert len(told) < 20_000
    with contextlib.suppress(LikewiseError):  # one whose pixels alone are damaged is read: nothing is decoded before it is learned from
        assert read_support(folder).support.examples


def listed_inside(folder):
    """The images that a run would label lie in the folder, or there is an error of ours."""
    try:
        listed = list_images(folder)
    except LikewiseError:
        return
    assert all(Path(os.path.realpath(listed.root / name)).is_relative_to(os.path.realpath(folder)) for name in listed.names)


def safe(folder, tmp_path):
    """Read, and written in every format that takes it, with nothing outside of OUT."""
    source = folder if folder.is_dir() else folder.parent
    assert read_support(folder).support.examples
    listed_inside(folder)
    before = sorted(path for path in tmp_path.rglob("*"))
    for format in WRITTEN:
        out = tmp_path / "out" / format
        try:
            convert(plan(source, format), out)
        except LikewiseError:
            assert not out.exists()
    assert [path for path in sorted(tmp_path.rglob("*")) if not path.is_relative_to(tmp_path / "out")] == before


def put(files, folder):
    """The files of a case in a folder; of one file alone that file."""
    make_hostile.write(files, folder)
    return folder / next(iter(files)) if len(files) == 1 and next(iter(files)).startswith("v.") else folder


def test_the_corpus_is_what_its_script_makes_small_and_all_of_it_expected():
    there = {path.relative_to(CORPUS).as_posix() for path in CORPUS.rglob("*") if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts}
    assert there == {f"{case}/{name}" for case, files in make_hostile.CASES.items() for name in make_hostile.kept(files)}
    assert sum((CORPUS / name).stat().st_size for name in there) < 300_000
    assert set(EXPECTED) == set(make_hostile.CASES)
    assert len(EXPECTED) >= 60
    assert set(LARGE) == set(make_hostile.LARGE)


@pytest.mark.parametrize("case", sorted(EXPECTED))
def test_a_hostile_file_is_refused_by_name_or_handled_safely(tmp_path, capsys, case):
    files = make_hostile.CASES[case]
    folder = put(files | {name: (CORPUS / case / name).read_bytes() for name in make_hostile.kept(files)}, tmp_path / case)
    if EXPECTED[case] == SAFE:
        assert main(["check", str(folder)]) == 0, capsys.readouterr()
        safe(folder, tmp_path)
    else:
        refused(folder, EXPECTED[case], capsys)
        listed_inside(folder)


@pytest.mark.parametrize("case", sorted(LARGE))
def test_a_large_hostile_file_is_refused_by_name_or_read(tmp_path, capsys, case):
    folder = put(make_hostile.LARGE[case](), tmp_path / case)
    if LARGE[case] == SAFE:
        (example,) = read_support(folder).support.examples
        assert example.labels.mask(example.labels.label_map.max()).sum() > 20
    else:
        refused(folder, LARGE[case], capsys)


def test_links_that_lead_out_of_the_folder_are_refused_where_a_file_names_them(tmp_path, capsys):
    (tmp_path / "secret.png").write_bytes(make_hostile.A)
    folder = put(make_hostile.CASES["class-script"], tmp_path / "set")
    (folder / "a.png").unlink()
    (folder / "a.png").symlink_to(tmp_path / "secret.png")
    refused(folder, "outside", capsys)
    (folder / "a.png").unlink()
    (folder / "a.png").symlink_to("a.png")
    refused(folder, "not there", capsys)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "nothing", "circle"])
@pytest.mark.parametrize("name", ["images/b.png", "masks/a.png", "b.json", "b.xml", "b.yaml", "labels.txt"])
def test_what_is_no_file_is_never_read_without_end(tmp_path, capsys, kind, name):
    folder = put(make_hostile.index(), tmp_path / "set")
    path = folder / name
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to({"device": "/dev/zero", "nothing": "gone", "circle": path.name}[kind])
    assert main(["check", str(folder)]) in (0, 4), capsys.readouterr()
    listed_inside(folder)


def test_a_loop_of_folders_is_not_followed(tmp_path):
    folder = put(make_hostile.index(), tmp_path / "set")
    (folder / "images/again").symlink_to(folder)
    assert list_images(folder).names == ["a.png"]


def test_what_the_objects_of_one_image_cover_together_is_bounded(tmp_path):
    runs = {"size": [7, 10], "counts": [0, 70]}
    notes = [{"id": place, "image_id": 1, "category_id": 1, "segmentation": runs} for place in range(2, 12)]
    folder = put(make_hostile.coco(note={"segmentation": runs}), tmp_path / "coco")
    content = json.loads((folder / "instances.json").read_text())
    content["annotations"] += notes
    (folder / "instances.json").write_text(json.dumps(content))
    assert len(read_support(folder).support.examples[0].labels.instances[1]) == 11
    with limited_pixels(70), pytest.raises(InputError, match="take more than 8 x 70 pixels"):
        read_support(folder)


def test_a_link_that_goes_in_circles_among_the_images_of_a_split_is_passed_over(tmp_path):
    folder = put(make_hostile.yolo(data="train: images\nnames: [cat]"), tmp_path / "set")
    (folder / "images/b.png").symlink_to("b.png")
    assert read_support(folder, split="train").support.examples[0].name == "a"
