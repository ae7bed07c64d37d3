"""The report is one file that opens from disk, shows the least certain first, and trusts nobody's names."""

import base64
import copy
import dataclasses
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import likewise
from likewise.labelling import label_folder
from likewise.labelling.about import About
from likewise.labelling.folder import opened
from likewise.labelling.gallery import Gallery, thumbnail
from likewise.labelling.options import RunSummary
from likewise.labelling.report import render
from likewise.labelling.tally import ROWS, Tally, added_times
from likewise.methods.base import Memory


class Page(HTMLParser):
    """Every tag with its attributes, and all text, as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def of(self, tag, **wanted):
        return [attributes for name, attributes in self.tags if name == tag and wanted.items() <= attributes.items()]


def summary_of(out, tally):
    counts = {"images": tally.images, "labelled": tally.labelled, "sure": 0, "failed": tally.failed, "earlier": 0}
    counts |= {"classes": tally.classes, "seconds": {"backbone": 3.0, "write": 0.5}, "elapsed": 4.0, "batch": 4}
    return RunSummary(out=out, **counts, edited=(), kept=(), manifest=out / "manifest.jsonl")


@pytest.fixture(scope="module")
def page(undisturbed):
    return Page((undisturbed[0] / "report.html").read_text("utf-8"))


def test_it_needs_no_network(undisturbed, page):
    text = (undisturbed[0] / "report.html").read_text("utf-8")
    assert not re.search(r"https?://", text)
    assert not [tag for tag, _ in page.tags if tag in ("link", "iframe", "object", "embed")]
    sources = [attributes["src"] for attributes in page.of("img")]
    assert sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not any("src" in attributes for attributes in page.of("script"))


def test_it_shows_the_examples_first_and_every_image_least_certain_first(undisturbed, page):
    out, _ = undisturbed
    shown = [attributes["alt"] for attributes in page.of("img")]
    assert shown[:3] == [f"example example {n} with its labels" for n in range(3)]
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    ordered = sorted(lines, key=lambda line: (line["confidence"], line["image"]))
    assert shown[3:] == [f"{line['image']} with its labels" for line in ordered]


def test_every_picture_can_be_opened_and_is_small(page):
    for attributes in page.of("img"):
        with Image.open(io.BytesIO(base64.b64decode(attributes["src"].split(",")[1]))) as picture:
            picture.load()
            assert max(picture.size) <= 256


def test_cards_carry_the_classes_that_filters_ask_for(undisturbed, page):
    lines = [json.loads(line) for line in (undisturbed[0] / "manifest.jsonl").read_text().splitlines()]
    numbers = {"disc": "1", "bar <b>&": "3"}
    expected = sorted(" ".join(numbers[name] for name in line["present"]) for line in lines)
    assert sorted(attributes["data-classes"].strip() for attributes in page.of("figure", **{"class": "card"})) == expected
    assert [attributes["value"] for attributes in page.of("option")] == ["shows", "lacks", "", "1", "3", "unsure", "sure", "name"]


def test_names_are_text_and_never_markup(tmp_path):
    evil = "<script>alert('1')</script>"
    pixels = np.random.default_rng(0).integers(0, 255, (56, 70, 3)).astype(np.uint8)
    mask = np.zeros((56, 70), np.uint8)
    mask[:, :30] = 1
    support = likewise.Support([likewise.Example(pixels, name=evil, label_map=mask)], classes={1: evil})
    task = likewise.learn(support, method="prototype", backbone="random:vit-tiny-14", device="cpu", engine="torch", precision="float32", side=84)
    (tmp_path / "images").mkdir()
    Image.fromarray(pixels).save(tmp_path / 'images/"><img src=x onerror=alert(1)>.png')
    (tmp_path / "images/<b>broken.jpg").write_bytes(b"<script>")
    label_folder(task, tmp_path / "images", tmp_path / "labels")
    page = Page((tmp_path / "labels/report.html").read_text("utf-8"))
    assert len(page.of("script")) == 1
    assert not page.of("b", src="x")
    assert all("onerror" not in attributes for _, attributes in page.tags)
    assert any(evil in words for words in page.words)
    assert any("<b>broken.jpg" in words for words in page.words)


def test_above_five_thousand_images_it_lists_a_sample_says_so_and_stays_small(task, tmp_path):
    tally = Tally()
    with opened(tmp_path) as folder:
        folder.begin(task.fingerprint(), None, 4, resume=False)
        gallery = Gallery(folder.thumbnails)
        picture = thumbnail(np.random.default_rng(0).integers(0, 255, (300, 400, 3)).astype(np.uint8), None)
        for number in range(ROWS + 1500):
            record = {"image": f"{number:05}.jpg", "present": {"disc": 0.9}, "confidence": round((number * 7919 % 6500) / 6500, 6), "files": {}}
            tally.add(record)
            gallery.recall(record)
        for name in gallery.sample:
            gallery.path(name).write_bytes(picture)
        text = render(folder, About.of(task), tally, summary_of(tmp_path, tally))
    page = Page(text)
    assert len(page.of("figure", **{"class": "card"})) == ROWS
    assert len(page.of("img")) == 600 + 3
    assert "5,000 of 6,500 images are listed" in text
    assert "600 have a picture" in text
    assert len(text) < 30_000_000
    confidences = [float(found) for found in re.findall(r"confidence ([0-9.]+)", text)]
    assert confidences == sorted(confidences)
    assert tally.classes == {"disc": 6500}
    assert len(tally.rows) == ROWS
    assert sum(tally.confidences) == 6500


def test_a_tally_counts_every_kind_of_line():
    tally = Tally()
    tally.add({"image": "a", "present": {"disc": 0.9}, "confidence": 1.0, "files": {"a.png": "0"}})
    tally.add({"image": "b", "present": {}, "confidence": 0.0, "files": {}, "sure": True})
    tally.add({"image": "c", "present": {}, "confidence": 0.52, "files": {}, "kept": ["c.png"], "error": {"what": "x", "where": "c", "remedy": "y"}})
    tally.add({"image": "d", "error": {"what": "x", "where": "d", "remedy": "y"}})
    assert (tally.images, tally.labelled, tally.sure, tally.failed, tally.absent, tally.kept) == (4, 1, 1, 2, 2, ["c.png"])
    assert [place for place, count in enumerate(tally.confidences) if count] == [0, 10, 19]
    assert [record["image"] for record in tally.listed()] == ["d", "b", "c", "a"]


def test_times_add_up_by_stage():
    assert added_times([{"seconds": {"decode": 1.0}}, {"seconds": {"decode": 0.5, "write": 2.0}}]) == {"decode": 1.5, "write": 2.0}


def test_thumbnails_keep_the_shape_and_show_labels_and_dense_maps():
    pixels = np.full((300, 700, 3), 128, np.uint8)
    labels = np.zeros((900, 2100), np.uint8)
    labels[:, 1050:] = 1
    plain, labelled, dense = (thumbnail(pixels, given, values) for given, values in ((None, None), (labels, None), (labels, labels.astype(np.float32))))
    arrays = [np.asarray(Image.open(io.BytesIO(jpeg)), np.int64) for jpeg in (plain, labelled, dense)]
    assert [array.shape for array in arrays] == [(110, 256, 3), (110, 256, 3), (110, 512, 3)]
    assert abs(arrays[1][:, :120] - arrays[0][:, :120]).max() < 20
    assert abs(arrays[1][:, 140:] - arrays[0][:, 140:]).max(axis=2).min() > 30
    assert abs(arrays[2][:, :250] - arrays[0][:, :250]).max() < 20
    assert abs(arrays[2][:, 262:380].mean((0, 1)) - arrays[2][:, 390:].mean((0, 1))).max() > 60


def test_scores_against_the_truth_stand_in_tables_of_classes_and_of_targets(task, undisturbed, tmp_path):
    _, summary = undisturbed
    truth = {
        "images": 7,
        "miou": 0.5,
        "presence_accuracy": None,
        "classes": {"disc": {"iou": 0.123, "presence_accuracy": None}},
        "dense": {"depth": {"rmse": 12.34, "abs_rel": None, "delta_1.25": 0.75}},
        "keypoints": {"nose": {"error": 3.0, "pck_0.1": None}},
    }
    with opened(tmp_path) as folder:
        folder.begin(task.fingerprint(), None, 4, resume=False)
        words = Page(render(folder, About.of(task), Tally(), dataclasses.replace(summary, truth=truth))).words
    assert {"50.0 %", "12.3 %", "RMSE 12.34, within a factor of 1.25 75.0 %", "off by 3 pixels on average", "Against the truth (7 images)"} <= set(words)


def test_what_the_method_chose_by_itself_stands_in_its_head(task, undisturbed, tmp_path, page):
    assert "What it chose by itself" not in page.words
    facts = {"choice": [{"readout": "pixel", "left_out": 0.5, "weight": 1.0}], "calibration": {"disc": "support", "bar <b>&": "shipped"}}
    chosen = copy.copy(task)
    chosen.memory = Memory(task.memory.tensors, {**task.memory.facts, **facts})
    with opened(tmp_path) as folder:
        folder.begin(task.fingerprint(), None, 4, resume=False)
        words = Page(render(folder, About.of(chosen), Tally(), undisturbed[1])).words
    assert words.index("What it chose by itself") < words.index("What it learned from")
    assert {"read-out pixel", "100 % of the answer, left-out score 0.500", "presence by the examples", "disc", "bar <b>&"} <= set(words)


def test_a_dense_task_shows_each_image_beside_its_values(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (56, 70, 3)).astype(np.uint8)
    depth = np.linspace(500, 900, 56 * 70, dtype=np.float32).reshape(56, 70)
    support = likewise.Support([likewise.Example(pixels, name="a", dense={"depth": depth})], targets={"depth": likewise.Target(unit="mm")})
    task = likewise.learn(support, method="prototype", backbone="random:vit-tiny-14", device="cpu", engine="torch", precision="float32", side=84)
    (tmp_path / "images").mkdir()
    Image.fromarray(pixels).save(tmp_path / "images/b.png")
    label_folder(task, tmp_path / "images", tmp_path / "labels")
    page = Page((tmp_path / "labels/report.html").read_text("utf-8"))
    (card,) = [attributes for attributes in page.of("img") if attributes["alt"] == "b.png with its labels"]
    with Image.open(io.BytesIO(base64.b64decode(card["src"].split(",")[1]))) as picture:
        assert picture.width >= 2 * picture.height
    assert [attributes["id"] for attributes in page.of("select")] == ["order"]
    assert any("Colours show depth" in words for words in page.words)
