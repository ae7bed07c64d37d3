"""A run that was told what may be missed says of each image whether to look at it, in the manifest, the tables, the report and against a truth."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from small_runs import CLASSES, draw, write_images

import likewise
from likewise.data import Example, Support
from likewise.errors import OutputError
from likewise.labelling import RunOptions, Shard, label_folder, merge
from likewise.labelling.decided_counts import DecidedCounts
from likewise.testing.conformance import BACKBONE

COUNT = 10


def learned(max_miss):
    drawn = [draw(seed, (56, 84)) for seed in range(8)]
    examples = [Example(pixels, f"e{seed}", label_map=labels) for seed, (pixels, labels) in enumerate(drawn)]
    return likewise.learn(Support(examples, CLASSES), "prototype", backbone=BACKBONE, device="cpu", engine="torch", side=84, max_miss=max_miss)


@pytest.fixture(scope="module")
def deciding():
    return learned(0.3)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("decided") / "images", COUNT)


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """The true labels of the images, under their names."""
    folder = tmp_path_factory.mktemp("truth")
    for number in range(COUNT):
        pixels, labels = draw(number, (40, 90) if number % 3 else (88, 42))
        inside = "left" if number % 2 else "."
        for kind, array, ending in (("images", pixels, "jpg" if number % 4 else "png"), ("masks", labels, "png")):
            path = folder / kind / inside / f"image {number:03}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)
    (folder / "classes.json").write_text(json.dumps({"classes": {str(number): name for number, name in CLASSES.items()}}))
    return folder


@pytest.fixture(scope="module")
def summary(deciding, images, truth, tmp_path_factory):
    return label_folder(deciding, images, tmp_path_factory.mktemp("runs") / "out", truth=truth)


def lines(out):
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def test_the_manifest_names_the_classes_to_look_for_and_the_tables_and_the_summary_say_the_same(deciding, images, summary):
    rules, found = deciding.rules, lines(summary.out)
    for line in found:
        present = deciding.predict(images / line["image"]).present
        assert line["decided"] == pytest.approx({name: p for name, p in present.items() if p >= rules[name].threshold}, abs=1e-5)
    with (summary.out / "measurements.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["image"], row["class"]) for row in rows if row["look"] == "1"} == {(line["image"], name) for line in found for name in line["decided"]}
    assert {row["look"] for row in rows} <= {"0", "1"}
    assert summary.decided == {name: sum(name in line["decided"] for line in found) for name in CLASSES.values()}
    assert summary.as_dict()["decided"] == summary.decided


def test_against_a_truth_it_counts_what_was_missed_and_named_in_vain(summary):
    expected = {name: [0, 0, 0, 0] for name in CLASSES.values()}
    for line in lines(summary.out):
        _, labels = draw(int(line["image"].rpartition(" ")[2][:3]), tuple(line["size"]))
        for number, name in CLASSES.items():
            there, look = bool((labels == number).any()), name in line["decided"]
            expected[name][0 if there else 2] += there != look
            expected[name][1 if there else 3] += 1
    assert summary.truth["decided"] == {name: dict(zip(("missed", "shown", "alarms", "without"), sums, strict=True)) for name, sums in expected.items()}


def test_the_report_says_the_rule_and_has_the_images_to_look_at(deciding, summary):
    page = summary.report.read_text("utf-8")
    rule = deciding.rules["disc"]
    assert "disc, to miss 30 %" in page
    assert rule.sentence() in page
    assert "to look at for disc" in page
    assert '<option value="looked">' in page
    assert page.count(" data-looked=") == COUNT
    assert "bar <b>" not in page


def test_a_run_without_a_rule_says_nothing_of_one(images, tmp_path):
    summary = label_folder(learned(None), images, tmp_path / "out")
    assert all("decided" not in line for line in lines(summary.out))
    assert "look" not in (summary.out / "measurements.csv").read_text().splitlines()[0]
    assert "decided" not in summary.as_dict()
    assert "looked at" not in summary.report.read_text("utf-8")


def test_a_run_is_not_gone_on_with_by_another_rule(images, tmp_path):
    label_folder(learned(0.3), images, tmp_path / "out")
    with pytest.raises(OutputError, match=r"max_miss was 0\.3, is 0\.4"):
        label_folder(learned(0.4), images, tmp_path / "out", resume=True)


def test_shards_join_to_the_same_decisions(deciding, images, summary, tmp_path):
    for number in (1, 2):
        label_folder(deciding, images, tmp_path / f"part{number}", options=RunOptions(shard=Shard(number, 2)))
    joined = merge([tmp_path / "part1", tmp_path / "part2"], tmp_path / "all")
    assert joined.decided == summary.decided
    assert (joined.out / "measurements.csv").read_bytes() == (summary.out / "measurements.csv").read_bytes()


def test_what_is_counted_is_every_pair_once():
    counts = DecidedCounts()
    assert counts.scores() == {}
    for there, look in ((True, True), (True, False), (False, True), (False, False), (False, False)):
        counts.add({"crack": [there, look]})
    assert counts.scores() == {"crack": {"missed": 1, "shown": 2, "alarms": 1, "without": 3}}
    assert np.sum(list(counts.scores()["crack"].values())) == 7
