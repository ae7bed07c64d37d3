"""`likewise suggest`: pictures of every kind before a second of one kind, what a task knows left out, a page that obeys no name."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

KIND = {"red": (220, 30, 30), "green": (20, 200, 40), "blue": (30, 40, 210)}
HOSTILE = "<script>alert(1)<b>.png"


@pytest.fixture
def folder(tmp_path):
    """Four pictures each of red, green and blue noise."""
    (tmp_path / "pictures").mkdir()
    for kind, colour in KIND.items():
        for index in range(4):
            noise = np.random.default_rng([index, *colour]).integers(-20, 20, (60, 80, 3))
            Image.fromarray(np.clip(noise + colour, 0, 255).astype(np.uint8)).save(tmp_path / f"pictures/{kind}{index}.png")
    return tmp_path / "pictures"


@pytest.fixture
def small(tiny):
    return tiny[:4]


def names(out):
    return [line.rpartition("/")[2] for line in out.splitlines()]


def test_of_three_kinds_one_each_is_suggested_first(run, folder, small):
    code, out, err = run("suggest", folder, "-n", 3, *small)
    assert code == 0, err
    assert {name.partition(".")[0][:-1] for name in names(out)} == set(KIND)
    assert "12 of 12 images compared" in err
    assert names(run("suggest", folder, "-n", 99, *small)[1])[:3] == names(out)
    facts = json.loads(run("suggest", folder, "-n", 3, "--json", *small)[1])
    gains = [one["gain"] for one in facts["suggestions"]]
    assert gains == sorted(gains, reverse=True)
    assert 0 < sum(gains) <= 1


def test_what_a_task_was_learned_from_is_not_suggested_and_what_it_shows_counts_as_covered(run, folder, small, tmp_path):
    (tmp_path / "examples/images").mkdir(parents=True)
    (tmp_path / "examples/masks").mkdir()
    for name in ("red0.png", "green0.png"):
        (tmp_path / "examples/images" / name).write_bytes((folder / name).read_bytes())
        mask = np.zeros((60, 80), np.uint8)
        mask[10:40, 20:60] = name == "red0.png"
        Image.fromarray(mask).save(tmp_path / "examples/masks" / name)
    task = tmp_path / "a.task"
    code, _, err = run("learn", tmp_path / "examples", "--out", task, "--method", "prototype", *small)
    assert code == 0, err
    code, out, err = run("suggest", folder, "--task", task, "-n", 12, "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["known"] == 2
    assert len(facts["suggestions"]) == 10
    assert facts["suggestions"][0]["image"].startswith("blue")
    assert all(0 <= one["confidence"] <= 1 for one in facts["suggestions"])


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_shows_the_pictures_and_names_as_they_are(run, folder, small, tmp_path):
    (folder / "red0.png").rename(folder / HOSTILE)
    page = tmp_path / "next.html"
    assert run("suggest", folder, "-n", 12, "--page", page, *small)[0] == 0
    read = Tags(page.read_text(encoding="utf-8"))
    assert read.tags.count("img") == 12
    assert "script" not in read.tags
    assert any(HOSTILE in words for words in read.words)
    before = page.read_bytes()
    code, _, err = run("suggest", folder, "--page", page, *small)
    assert code == 2
    assert "there already" in err
    assert page.read_bytes() == before


def test_bad_pictures_are_told_and_bad_options_refused(run, folder, small, tmp_path):
    (folder / "broken.png").write_bytes(b"no picture")
    code, _, err = run("suggest", folder, "-n", 3, *small)
    assert code == 0
    assert "broken.png: " in err
    assert "12 of 13 images compared" in err
    assert run("suggest", folder, "-n", 0, *small)[0] == 2
    assert run("suggest", folder, "--task", tmp_path / "a.txt")[0] == 2
    assert run("suggest", folder, "--task", tmp_path / "a.task", "--backbone", "x")[0] == 2
    for each in folder.iterdir():
        each.write_bytes(b"no picture")
    assert run("suggest", folder, *small)[0] == 4
