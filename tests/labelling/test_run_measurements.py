"""What a run measures stands in tables that a spreadsheet opens, and does not depend on how the run went."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from small_runs import CLASSES, content, draw, write_images

import likewise
from likewise.data import Example, Support
from likewise.errors import OutputError, UsageError
from likewise.labelling import PixelSize, Shard, label_folder, merge
from likewise.testing.conformance import BACKBONE

COUNT, NAME = 9, "=1+1.png"


@pytest.fixture(scope="module")
def parts():
    """A task whose objects are connected parts."""
    drawn = [draw(seed, (64, 96)) for seed in range(4)]
    examples = [Example(pixels, f"e{seed}", label_map=labels) for seed, (pixels, labels) in enumerate(drawn)]
    return likewise.learn(Support(examples, CLASSES), "ridge", backbone=BACKBONE, device="cpu", engine="torch", instances="parts")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = write_images(tmp_path_factory.mktemp("measured") / "images", COUNT - 1)
    Image.fromarray(draw(1, (40, 90))[0]).save(folder / NAME)
    return folder


@pytest.fixture(scope="module")
def run(parts, images, tmp_path_factory):
    return label_folder(parts, images, tmp_path_factory.mktemp("runs") / "out", pixel_size=PixelSize.parse("0.5um")).out


def table(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def drawn(out, row):
    """The label map that the run wrote of the image of a row."""
    return np.array(Image.open(out / f"{row['image'].removeprefix(chr(39)).rpartition('.')[0]}.png"))


def test_counts_and_areas_are_those_of_the_masks_on_disk(run):
    rows = table(run / "measurements.csv")
    assert len(rows) == COUNT * len(CLASSES)
    numbers = {name: number for number, name in CLASSES.items()}
    for row in rows:
        labels = drawn(run, row)
        mask = labels == numbers[row["class"]]
        assert int(row["area"]) == mask.sum()
        assert int(row["count"]) == ndimage.label(mask, np.ones((3, 3)))[1]
        assert float(row["share"]) == pytest.approx(mask.mean(), rel=1e-5)
        assert float(row["area_um2"]) == pytest.approx(mask.sum() * 0.25, rel=1e-5)
        assert (row["confidence"] == "") == (not mask.any())


def test_objects_have_the_areas_middles_and_boxes_of_their_parts(run):
    rows = table(run / "objects.csv")
    numbers = {name: number for number, name in CLASSES.items()}
    assert rows
    for row in rows:
        labels = drawn(run, row)
        x0, y0, x1, y1 = (int(row[edge]) for edge in ("x0", "y0", "x1", "y1"))
        mask = np.zeros(labels.shape, bool)
        mask[y0:y1, x0:x1] = (labels == numbers[row["class"]])[y0:y1, x0:x1]
        whole, _ = ndimage.label(labels == numbers[row["class"]], np.ones((3, 3)))
        places = ndimage.find_objects(whole)
        mine = next(whole == part for part in np.unique(whole[mask]) if places[part - 1] == (slice(y0, y1), slice(x0, x1)))
        middle = ndimage.center_of_mass(mine)
        assert int(row["area"]) == mine.sum()
        assert (float(row["y"]), float(row["x"])) == pytest.approx((middle[0] + 0.5, middle[1] + 0.5), abs=1e-3)
        assert np.pi * (float(row["diameter_um"]) / 2) ** 2 == pytest.approx(float(row["area_um2"]), rel=1e-4)


def test_a_name_that_begins_like_a_formula_stays_text(run):
    assert {row["image"] for row in table(run / "objects.csv") if "1+1" in row["image"]} == {"'" + NAME}


def test_objects_are_numbered_as_in_the_file_of_instances(run):
    row = next(row for row in table(run / "objects.csv") if row["object"] == "2")
    numbers = np.array(Image.open(run / f"{row['image'].removeprefix(chr(39)).rpartition('.')[0]}.instances.png"))
    assert (numbers == 2).sum() == int(row["area"])


def test_shards_together_have_the_tables_of_the_whole_run(parts, images, run, tmp_path):
    size = PixelSize.parse("0.5um")
    shards = [label_folder(parts, images, tmp_path / str(number), shard=Shard(number, 2), pixel_size=size).out for number in (1, 2)]
    summary = merge(shards, tmp_path / "merged")
    assert content(tmp_path / "merged") == content(run)
    assert sum(summary.objects.values()) == len(table(run / "objects.csv"))


def test_a_resumed_run_writes_the_same_tables_over_its_own(parts, images, run, tmp_path):
    size = PixelSize.parse("0.5um")
    few = write_images(tmp_path / "images", 3)
    label_folder(parts, few, tmp_path / "out", pixel_size=size)
    write_images(few, COUNT - 1)
    Image.open(images / NAME).save(few / NAME)
    label_folder(parts, few, tmp_path / "out", pixel_size=size, resume=True)
    for name in ("measurements.csv", "objects.csv"):
        assert sorted((tmp_path / "out" / name).read_text().splitlines()) == sorted((run / name).read_text().splitlines())


def test_another_pixel_size_is_another_run(parts, images, run):
    with pytest.raises(OutputError, match="pixel_size"):
        label_folder(parts, images, run, resume=True)


def test_without_objects_counts_are_empty_and_there_is_no_table_of_objects(images, tmp_path):
    pixels, labels = draw(1, (64, 96))
    task = likewise.learn(Support([Example(pixels, "e", label_map=labels)], CLASSES), "ridge", backbone=BACKBONE, device="cpu", engine="torch")
    out = label_folder(task, images, tmp_path / "out").out
    assert not (out / "objects.csv").exists()
    assert all(row["count"] == ("" if int(row["area"]) else "0") for row in table(out / "measurements.csv"))
    assert "area_um2" not in table(out / "measurements.csv")[0]
    assert "objects" not in json.loads((out / "manifest.jsonl").read_text().splitlines()[0])


@pytest.mark.parametrize("text", ["", "0um", "-1um", "0.5", "um", "1um;x", "nan um"])
def test_a_length_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match=r"0\.5um"):
        PixelSize.parse(text)
