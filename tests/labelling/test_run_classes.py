"""Classes of whole images from the user's folder to labels.csv, by the command line."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from likewise.cli import main
from likewise.formats import read_support
from likewise.labelling.class_counts import ClassCounts

HUES = {"=red": (230, 40, 30), "green": (30, 220, 50)}
PLACE = ("--backbone", "random:vit-tiny-14", "--device", "cpu", "--engine", "torch", "--precision", "float32", "--set", "side=84")


def paint(path, hue, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(-25, 25, (50 + seed % 3, 66, 3))
    Image.fromarray(np.clip(np.array(hue) + noise, 0, 255).astype(np.uint8)).save(path)


def noise(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (66, 66, 3), dtype=np.uint8)).save(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Examples in a folder a class, five images to label in folders of their own, and their truth."""
    root = tmp_path_factory.mktemp("data")
    for place, (name, hue) in enumerate(HUES.items()):
        for shot in range(3):
            paint(root / f"examples/{name}/{shot}.png", hue, 10 * place + shot)
    for number, (name, hue) in enumerate([*HUES.items(), *HUES.items(), ("green", HUES["green"])]):
        for folder in ("images/deep", f"truth/{name}"):
            paint(root / folder / f"@{number}.png", hue, 40 + number)
    return root


@pytest.fixture
def run(capsys):
    """Run the program: (exit code, stdout, stderr)."""

    def call(*arguments):
        code = main([*map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture(scope="module")
def labelled(data, tmp_path_factory):
    """A run with copies, and its folder."""
    out = tmp_path_factory.mktemp("run") / "labels"
    assert main(["label", *map(str, (data / "examples", data / "images", "--out", out, "--truth", data / "truth", "--format", "folders")), *PLACE]) == 0
    return out


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_table_has_a_line_an_image_that_a_spreadsheet_can_open(labelled):
    rows = rows_of(labelled / "labels.csv")
    assert list(rows[0]) == ["image", "class", "probability", "confidence", "'=red", "green"]
    assert [row["image"] for row in rows] == [f"deep/@{number}.png" for number in range(5)]
    assert [row["class"] for row in rows] == ["'=red", "green", "'=red", "green", "green"]
    assert all(float(row["'=red"]) + float(row["green"]) == pytest.approx(1, abs=2e-6) for row in rows)


def test_every_image_is_copied_into_the_folder_of_its_class_and_shares_nothing_with_the_original(labelled, data):
    copies = sorted(path.relative_to(labelled / "folders").as_posix() for path in (labelled / "folders").rglob("*.png"))
    assert copies == ["=red/deep/@0.png", "=red/deep/@2.png", "green/deep/@1.png", "green/deep/@3.png", "green/deep/@4.png"]
    copy, original = labelled / "folders/green/deep/@1.png", data / "images/deep/@1.png"
    assert copy.read_bytes() == original.read_bytes()
    assert copy.stat().st_nlink == original.stat().st_nlink == 1


def test_what_was_written_can_be_learned_from(labelled):
    support = read_support(labelled / "folders").support
    assert list(support.classes.names.values()) == ["=red", "green"]
    assert len(support) == 5


def test_the_report_names_every_class_with_its_pictures(labelled):
    page = (labelled / "report.html").read_text(encoding="utf-8")
    assert "Images of each class" in page
    assert "right against the truth" in page
    assert "=red" in page
    assert page.count("data:image/jpeg;base64,") == 6 + 5


def test_a_truth_gives_the_accuracy_with_its_interval(run, data, tmp_path):
    code, out, _ = run("label", data / "examples", data / "images", "--out", tmp_path / "labels", "--truth", data / "truth", *PLACE)
    assert code == 0
    assert "accuracy 100.0 % (56.6 to 100.0): 5 of 5 images right" in out
    assert "=red: 2 of 2 right" in out


def test_a_table_is_a_truth_too_and_images_of_other_classes_are_counted_apart(run, data, labelled, tmp_path):
    lines = ["image,class", "deep/@0.png,green", "deep/@1.png,green", "deep/@2.png,_none", "deep/@3.png,horse"]
    (tmp_path / "truth.csv").write_text("\n".join(lines))
    code, out, _ = run("label", data / "examples", data / "images", "--out", tmp_path / "labels", "--truth", tmp_path / "truth.csv", "--json", *PLACE)
    truth = json.loads(out)["truth"]
    assert code == 0
    assert truth["accuracy"] == 0.5
    assert truth["none"] == [0, 2]
    assert truth["mixed"] == [["green", "=red", 1]]


def test_a_run_that_lost_its_copies_and_its_table_makes_them_again(run, data, tmp_path):
    out = tmp_path / "labels"
    arguments = ("label", data / "examples", data / "images", "--out", out, "--format", "folders", *PLACE)
    run(*arguments)
    whole = (out / "labels.csv").read_bytes()
    (out / "labels.csv").unlink()
    (out / "folders/green/deep/@3.png").unlink()
    code, _, _ = run(*arguments, "--resume")
    assert code == 0
    assert (out / "labels.csv").read_bytes() == whole
    assert (out / "folders/green/deep/@3.png").is_file()


def test_a_table_that_was_changed_by_hand_is_left_alone(run, data, tmp_path):
    out = tmp_path / "labels"
    run("label", data / "examples", data / "images", "--out", out, *PLACE)
    (out / "labels.csv").write_text("mine\n")
    paint(data / "images/late.png", HUES["green"], 99)
    try:
        code, _, err = run("label", data / "examples", data / "images", "--out", out, "--resume", *PLACE)
    finally:
        (data / "images/late.png").unlink()
    assert code == 0
    assert (out / "labels.csv").read_text() == "mine\n"
    assert "labels.csv" in err


def test_images_that_show_none_of_the_classes_get_a_folder_of_their_own(run, data, tmp_path):
    for number in range(4):
        noise(tmp_path / f"examples/_none/{number}.png", 900 + number)
    shutil.copytree(data / "examples", tmp_path / "examples", dirs_exist_ok=True)
    noise(tmp_path / "images/odd.png", 77)
    paint(tmp_path / "images/plain.png", HUES["green"], 78)
    code, _, _ = run("label", tmp_path / "examples", tmp_path / "images", "--out", tmp_path / "labels", "--format", "folders", *PLACE)
    assert code == 0
    assert {row["image"]: row["class"] for row in rows_of(tmp_path / "labels/labels.csv")} == {"odd.png": "_none", "plain.png": "green"}
    assert (tmp_path / "labels/folders/_none/odd.png").is_file()
    assert "show none of these" in (tmp_path / "labels/report.html").read_text(encoding="utf-8")


def test_a_task_of_classes_is_kept_shown_and_grown_by_a_class(run, data, tmp_path):
    for shot in range(2):
        paint(tmp_path / f"more/blue/{shot}.png", (20, 30, 240), 60 + shot)
    assert run("learn", data / "examples", "--out", tmp_path / "hue.task", "--backbone", "random:vit-tiny-14", "--device", "cpu", "--engine", "torch")[0] == 0
    assert run("learn", tmp_path / "hue.task", "--add", tmp_path / "more", "--as", "folders", "--engine", "torch")[0] == 0
    code, out, _ = run("inspect", tmp_path / "hue.task")
    assert code == 0
    assert "class 3: blue" in out
    assert "left out, green: accuracy" in out
    assert "temperature of probabilities" in out
    paint(tmp_path / "images/new.png", (20, 30, 240), 70)
    assert run("label", tmp_path / "hue.task", tmp_path / "images", "--out", tmp_path / "labels", "--engine", "torch")[0] == 0
    assert rows_of(tmp_path / "labels/labels.csv")[0]["class"] == "blue"


@pytest.mark.parametrize("format", ["index-png", "coco"])
def test_masks_of_classes_of_whole_images_are_refused(run, data, tmp_path, format):
    code, _, err = run("label", data / "examples", data / "images", "--out", tmp_path / "labels", "--format", format, *PLACE)
    assert code == 2
    assert "csv or folders" in err


def test_a_damaged_image_has_no_line_in_the_table(run, data, tmp_path):
    paint(tmp_path / "images/good.png", HUES["green"], 3)
    (tmp_path / "images/bad.png").write_bytes(b"no picture")
    code, _, _ = run("label", data / "examples", tmp_path / "images", "--out", tmp_path / "labels", *PLACE)
    assert code == 5
    assert [row["image"] for row in rows_of(tmp_path / "labels/labels.csv")] == ["good.png"]


def test_counts_know_refused_images_from_wrong_ones():
    counts = ClassCounts()
    for true, said in (("cat", "cat"), ("cat", "dog"), ("cat", None), ("dog", "dog"), ("", None), ("", "dog")):
        counts.add(true, said)
    scores = counts.scores()
    assert (scores["accuracy"], scores["refused"], scores["right"]) == (0.5, 1, {"cat": [1, 3], "dog": [1, 1]})
    assert (scores["none"], scores["mixed"]) == ([1, 2], [["cat", "dog", 1]])
