"""The page that adds a method: exactly what stands there is built as a package of its own, checked by the laws, and used."""

import importlib
import json
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likewise.cli import main
from likewise.errors import InputError
from likewise.testing import conformance

PAGE = Path(__file__).parents[2] / "docs/adding-a-method.md"
TINY = ("--backbone", "random:vit-tiny-14", "--engine", "torch")


def files_of(page):
    """{name: text}: blocks under a line that names a file; blocks without one go on with the file before."""
    found, current = {}, None
    for name, text in re.findall(r"(?:^`([\w.]+)`\n\n)?^```(?:python|toml)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        current = name or current
        found.setdefault(current, []).append(text)
    return {name: "\n\n".join(texts) for name, texts in found.items()}


FILES = files_of(PAGE)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The package as an installer leaves it: its module, and its entry points as metadata."""
    site = tmp_path / "site"
    project = tomllib.loads(FILES["pyproject.toml"])
    (about,) = [project["project"]]
    facts = site / f"{about['name'].replace('-', '_')}-{about['version']}.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n")
    groups = about["entry-points"].items()
    (facts / "entry_points.txt").write_text("".join(f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in rows.items()) for group, rows in groups))
    modules = project["tool"]["setuptools"]["py-modules"]
    for module in modules:
        (site / f"{module}.py").write_text(FILES[f"{module}.py"])
    monkeypatch.syspath_prepend(site)
    importlib.invalidate_caches()
    yield site
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def folders(tmp_path):
    """Two labelled pictures, and two to label."""
    for place, names in {"examples": (0, 1), "new": (2, 3)}.items():
        for name in names:
            pixels, labels = conformance.picture(name, 84 + name, 112)
            for kind, array in (("images", pixels), ("masks", labels)):
                if kind == "images" or place == "examples":
                    path = tmp_path / place / (kind if place == "examples" else "") / f"p{name}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(array).save(path)
    (tmp_path / "examples" / "classes.json").write_text('{"classes": {"1": "red", "2": "green"}}')
    return tmp_path


def call(*arguments):
    return main([str(argument) for argument in arguments])


def test_the_method_of_the_page_has_under_100_lines_and_the_page_says_how_many():
    lines = len(FILES["gaussian_labels.py"].splitlines())
    assert lines < 100
    assert f"All of it is {lines} lines." in PAGE.read_text(encoding="utf-8")
    assert not (PAGE.parents[1] / "src/likewise/methods/gaussian.py").exists()


@pytest.mark.parametrize("law", conformance.LAWS)
def test_it_keeps_the_laws_by_the_test_of_the_page(installed, law):
    names: dict = {}
    exec(compile(FILES["test_gaussian.py"], "test_gaussian.py", "exec"), names)
    names["test_the_method_keeps"](law)


def test_it_is_listed_with_its_package(installed, capsys):
    assert call("methods") == 0
    assert re.search(r"^gaussian +\(package gaussian-labels\)$", capsys.readouterr().out, re.MULTILINE)


def test_it_labels_a_folder_from_masks(installed, folders):
    assert call("label", folders / "examples", folders / "new", "--out", folders / "out", "--method", "gaussian", *TINY) == 0
    lines = [json.loads(line) for line in (folders / "out/manifest.jsonl").read_text().splitlines()]
    images = [line for line in lines if "image" in line or "name" in line]
    assert len(images) >= 2
    found = np.asarray(Image.open(next((folders / "out").rglob("p2.png"))))
    assert found.shape == (86, 112)
    assert set(np.unique(found)) <= {0, 1, 2}


@pytest.mark.parametrize("support", ["mask", "box", "point", "tag"])
def test_it_is_evaluated_beside_others_whatever_the_support(installed, folders, capsys, support):
    (folders / "examples/dataset.json").write_text(json.dumps({"classes": {"1": "red", "2": "green"}}))
    arguments = ("--folds", 1, "--episodes", 3, "--set", "side=56", "--support", support, "--json", *TINY)
    assert call("evaluate", "prototype,gaussian", folders / "examples", *arguments) == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["method"] for record in records] == ["prototype", "gaussian"]
    assert 0 <= records[1]["average"]["exact_ratio"] <= 100
    assert records[1]["protocol"] == "training-free"


def test_the_lines_for_python_register_it_and_learn(installed, folders, monkeypatch):
    import likewise
    from likewise.methods import registry

    (installed / "gaussian_labels-0.1.dist-info" / "entry_points.txt").unlink()
    monkeypatch.setattr(registry, "_REGISTERED", {})
    monkeypatch.chdir(folders)
    whole = likewise.learn
    monkeypatch.setattr(likewise, "learn", lambda *given, **named: whole(*given, backbone="random:vit-tiny-14", engine="torch", **named))
    names: dict = {}
    exec(compile(FILES["notebook.py"], "notebook.py", "exec"), names)
    task = names["task"]
    assert task.method.settings.parts == 4
    assert task.predict(folders / "new/p3.png").labels.shape == (87, 112)
    task.save(folders / "a.task")
    assert likewise.load(folders / "a.task", engine="torch").method.name == "gaussian"
    monkeypatch.setattr(registry, "_REGISTERED", {})
    with pytest.raises(InputError, match="no method 'gaussian'"):
        likewise.load(folders / "a.task", engine="torch")


def test_two_classes_of_tokens_are_told_apart_by_the_direction_in_which_they_differ(installed):
    import torch

    gaussians = importlib.import_module("gaussian_labels").gaussians
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(400, 5, generator=generator) * torch.tensor([9.0, 1, 1, 1, 0.1])  # widest where the classes do not differ
    place = torch.arange(400) % 2
    tokens = noise + torch.tensor([0.0, 0, 0, 0, 1.0]) * place[:, None]
    found = gaussians(tokens, torch.nn.functional.one_hot(place, 3).float(), parts=1, shrinkage=0.001)
    said = (tokens @ found["slopes"].T + found["offsets"]).argmax(1)
    assert found["places"].tolist() == [0, 1]  # the third place was never seen
    assert float((said == place).float().mean()) > 0.99
