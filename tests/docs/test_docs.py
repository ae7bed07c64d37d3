"""What the pages say is true: links lead somewhere, examples run, every method, format and verb has its page."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from PIL import Image

import likewise
from likewise.formats import FORMATS
from likewise.methods import available
from likewise.testing.conformance import picture

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
MODULES = sorted(module.name for module in pkgutil.walk_packages(likewise.__path__, "likewise.") if not module.name.endswith("__main__"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_give_what_they_say(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_every_method_and_format_has_its_page():
    methods = (ROOT / "docs/methods/README.md").read_text(encoding="utf-8")
    formats = (ROOT / "docs/formats/README.md").read_text(encoding="utf-8")
    assert [name for name in available() if f"`{name}`" not in methods] == []
    assert [row.name for row in FORMATS if row.name not in formats] == []


def test_every_verb_stands_in_the_page_of_the_command_line():
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    verbs = ("label", "merge", "learn", "inspect", "check", "convert", "weights", "methods", "train", "evaluate", "data check", "verify", "demo")
    assert [verb for verb in verbs if f"likewise {verb}" not in page] == []


@pytest.mark.weights
def test_the_five_lines_of_the_readme_run_as_they_stand(tmp_path, monkeypatch, default_weights):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    for index, folder in enumerate(("examples/images", "examples/images", ".")):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        pixels, labels = picture(index, 90, 120)
        Image.fromarray(pixels).save(tmp_path / folder / ("new.jpg" if folder == "." else f"{index}.jpg"))
        if folder != ".":
            (tmp_path / "examples/masks").mkdir(exist_ok=True)
            Image.fromarray(labels).save(tmp_path / f"examples/masks/{index}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("likewise.weights.resolve", lambda name="auto": default_weights)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["prediction"].size == (90, 120)
    assert (tmp_path / "new.overlay.png").exists()
    assert (tmp_path / "cracks.task").exists()
