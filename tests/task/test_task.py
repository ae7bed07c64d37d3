"""The public face: learning, predicting, saving, loading, updating; and every way a task file can be wrong."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

import likewise
from likewise.backbones.engines import has_bfloat16
from likewise.errors import InputError, OutputError, TaskFileError, UsageError, WeightsError
from likewise.tensors import read_tensors
from likewise.testing.conformance import BACKBONE, picture, support_of

SMALL = {"backbone": BACKBONE, "device": "cpu", "engine": "torch", "preset": "fast", "sides": (168,)}


@pytest.fixture(scope="module")
def task():
    return likewise.learn(support_of("analogy"), **SMALL)


@pytest.fixture
def query():
    return picture(11, 57, 83)[0]


def test_the_five_lines_of_the_readme(tmp_path, task, query):
    prediction = task.predict(query)
    assert prediction.labels.shape == (57, 83)
    assert prediction.scores.shape == (3, 57, 83)
    assert set(prediction.present) == {"red", "green"}
    assert prediction.dense["brightness"].shape == (57, 83)
    assert 0 <= prediction.confidence <= 1
    prediction.overlay().save(tmp_path / "new.overlay.png")
    task.save(tmp_path / "t.task")
    assert np.array_equal(likewise.load(tmp_path / "t.task", engine="torch").predict(query).labels, prediction.labels)


def test_a_list_of_images_gives_a_list_of_predictions(task, query):
    both = task.predict([query, query[:31]])
    assert [p.size for p in both] == [(57, 83), (31, 83)]


def test_a_fresh_process_with_the_other_engine_gives_the_same_labels(tmp_path, task, query):
    task.save(tmp_path / "t.task")
    np.save(tmp_path / "q.npy", query)
    code = (
        "import likewise, numpy as np, sys; t = likewise.load(sys.argv[1], engine='openvino');"
        "q = np.load(sys.argv[2]); b = t.predict_prepared([t.prepare(q)] * 3); np.save(sys.argv[3], b[1].labels)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "t.task", tmp_path / "q.npy", tmp_path / "l.npy"], check=True)
    agree = (np.load(tmp_path / "l.npy") == task.predict(query).labels).mean()
    assert agree >= 0.995


def test_the_left_out_scores_are_kept(tmp_path, task):
    assert set(task.left_out) == {"red", "green", "brightness"}
    assert task.left_out["red"]["by"] in ("images", "blocks")
    task.save(tmp_path / "t.task")
    assert likewise.load(tmp_path / "t.task").left_out == task.left_out


def test_the_fingerprint_names_task_weights_engine_and_version(task):
    facts = task.fingerprint()
    assert facts["task"] == task.digest
    assert facts["weights.backbone"] == task.weights["backbone"]["sha256"]
    usual = "bfloat16" if has_bfloat16() else "float32"
    assert (facts["engine"], facts["precision"], facts["likewise"]) == ("torch", usual, likewise.__version__)


def test_two_working_sizes_are_weighed_and_those_with_a_weight_are_asked_for(query):
    weighed = likewise.learn(support_of("analogy"), **{**SMALL, "sides": (112, 168)})
    weights = {item["readout"]: item["weight"] for item in weighed.memory.facts["choice"]}
    assert set(weights) == {"tokens 112", "tokens 168"}
    assert sum(weights.values()) == pytest.approx(1, abs=1e-3)
    assert {spec.side for spec in weighed.method.wants() if not spec.copy} == {112, 168}
    assert {f"tokens {spec.side}" for spec in weighed.method.wants(weighed.memory)} == {name for name, weight in weights.items() if weight}
    assert weighed.predict(query).labels.shape == (57, 83)


class TestWrongUse:
    def test_an_unknown_method_is_answered_with_the_closest(self):
        with pytest.raises(UsageError, match="did you mean 'analogy'"):
            likewise.learn(support_of("analogy"), method="analgy", backbone=BACKBONE)

    def test_an_unknown_setting_is_answered_with_the_known_ones(self):
        with pytest.raises(UsageError, match="sides"):
            likewise.learn(support_of("analogy"), backbone=BACKBONE, side=3)

    def test_a_setting_of_another_type_is_refused(self):
        with pytest.raises(UsageError, match="Give a value like"):
            likewise.learn(support_of("analogy"), backbone=BACKBONE, sides="448")

    def test_an_unknown_preset_and_device_are_refused(self):
        with pytest.raises(UsageError, match="preset"):
            likewise.learn(support_of("analogy"), backbone=BACKBONE, preset="quick")
        with pytest.raises(UsageError, match="device"):
            likewise.learn(support_of("analogy"), backbone=BACKBONE, device="gpu")

    def test_a_checkpoint_for_a_method_without_one_is_refused(self):
        with pytest.raises(UsageError, match="checkpoint"):
            likewise.learn(support_of("analogy"), backbone=BACKBONE, checkpoint="x.ckpt")

    def test_labels_that_no_method_can_use_are_refused_before_any_work(self):
        only_whole = likewise.Support([likewise.Example(picture(0, 20, 30)[0], label="mouse")])
        with pytest.raises(InputError, match="labels of the kind class"):
            likewise.learn(only_whole, backbone="random:never-opened")

    def test_a_support_in_which_nothing_is_shown_is_refused(self):
        empty = likewise.Support([likewise.Example(picture(0, 20, 30)[0], label_map=np.zeros((20, 30), np.uint8))], classes={1: "crack"})
        with pytest.raises(InputError, match="no example shows any class"):
            likewise.learn(empty, backbone=BACKBONE)


class TestUpdateAndForget:
    def test_a_new_class_can_join(self, task, tmp_path):
        task.save(tmp_path / "t.task")
        grown = likewise.load(tmp_path / "t.task", engine="torch")
        pixels, labels = picture(21, 60, 80)
        more = likewise.Support([likewise.Example(pixels, "new", label_map=np.where(labels == 1, 7, 0).astype(np.uint8))], classes={7: "blue"})
        grown.update(more)
        assert dict(grown.classes.names) == {1: "red", 2: "green", 7: "blue"}
        assert set(np.unique(grown.predict(pixels).labels)) <= {0, 1, 2, 7}

    def test_a_class_with_another_number_is_refused(self, task):
        pixels, labels = picture(21, 60, 80)
        with pytest.raises(InputError, match="classes"):
            task.update(likewise.Support([likewise.Example(pixels, "new", label_map=labels)], classes={1: "green", 2: "red"}))

    def test_an_example_of_the_same_name_is_refused(self, task):
        with pytest.raises(InputError, match="example-1"):
            task.update(support_of("analogy", order=(1,)))

    def test_an_unknown_name_is_answered_with_the_closest(self, task):
        with pytest.raises(InputError, match="did you mean 'example-1'"):
            task.forget(["exmple-1"])

    def test_the_last_example_is_not_forgotten(self, task):
        with pytest.raises(InputError, match="no example would be left"):
            task.forget(["example-0", "example-1", "example-2"])

    def test_a_compact_task_refuses_and_says_why(self, task, tmp_path):
        task.save(tmp_path / "c.task", compact=True, thumbnails=False)
        compact = likewise.load(tmp_path / "c.task", engine="torch")
        assert compact.thumbnails == []
        with pytest.raises(InputError, match="compact"):
            compact.forget(["example-1"])
        with pytest.raises(InputError, match="compact"):
            compact.update(support_of("analogy"))

    def test_a_compact_file_is_much_smaller(self, task, tmp_path):
        whole, compact = task.save(tmp_path / "w.task", thumbnails=False), task.save(tmp_path / "c.task", compact=True, thumbnails=False)
        assert compact.stat().st_size < whole.stat().st_size / 2


class TestTaskFiles:
    @pytest.fixture
    def path(self, task, tmp_path):
        return task.save(tmp_path / "t.task")

    def test_a_missing_file_and_a_folder(self, tmp_path):
        with pytest.raises(TaskFileError, match="no such file"):
            likewise.load(tmp_path / "none.task")
        with pytest.raises(TaskFileError, match=r"folder|no task file"):
            likewise.load(tmp_path)

    @pytest.mark.parametrize("kept", [0, 5, 300, -1])
    def test_a_truncated_file(self, path, kept):
        path.write_bytes(path.read_bytes()[:kept])
        with pytest.raises(TaskFileError, match="truncated"):
            likewise.load(path)

    def test_an_edited_tensor(self, path):
        content = bytearray(path.read_bytes())
        content[-100] ^= 1
        path.write_bytes(content)
        with pytest.raises(TaskFileError, match="hash"):
            likewise.load(path)

    def test_an_edited_manifest(self, path):
        content = path.read_bytes()
        path.write_bytes(content.replace(b"green", b"grean"))
        with pytest.raises(TaskFileError, match="hash"):
            likewise.load(path)

    def test_a_foreign_safetensors_file(self, tmp_path):
        save_file({"a": torch.zeros(3)}, tmp_path / "x.task")
        with pytest.raises(TaskFileError, match="not a task"):
            likewise.load(tmp_path / "x.task")

    def test_something_else_altogether(self, tmp_path):
        (tmp_path / "x.task").write_bytes(b"PK\x03\x04" + bytes(1000))
        with pytest.raises(TaskFileError, match="no task file"):
            likewise.load(tmp_path / "x.task")

    def test_a_newer_format_is_named(self, path):
        _rewrite(path, format=99)
        with pytest.raises(TaskFileError, match="format is 99"):
            likewise.load(path)

    def test_a_method_that_is_not_installed_is_named(self, path):
        _rewrite(path, method="somebody-elses")
        with pytest.raises(TaskFileError, match="somebody-elses"):
            likewise.load(path)

    def test_parts_that_do_not_fit_together(self, path):
        _rewrite(path, grids=[])
        with pytest.raises(TaskFileError, match="do not fit together"):
            likewise.load(path)

    def test_other_weights_of_the_same_name_are_refused(self, path):
        _rewrite(path, weights={"backbone": {"name": BACKBONE, "sha256": "0" * 64}})
        with pytest.raises(WeightsError, match="learned with 000000000000"):
            likewise.load(path).predict(picture(1, 20, 30)[0])

    def test_nothing_is_overwritten_unasked(self, task, path):
        before = path.read_bytes()
        with pytest.raises(OutputError, match="already there"):
            task.save(path, overwrite=False)
        assert path.read_bytes() == before

    def test_a_failed_write_leaves_the_old_file_and_no_draft(self, task, path, monkeypatch):
        before = path.read_bytes()

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(OutputError, match="No space"):
            task.save(path)
        assert path.read_bytes() == before
        assert [p.name for p in path.parent.iterdir()] == ["t.task"]


def _rewrite(path, **changes):
    """The same file with parts of its manifest replaced and its hash made right again."""
    from likewise.task.file import _digest

    with safe_open(path, framework="pt") as opened:
        manifest = json.loads(opened.metadata()["likewise"]) | changes
        tensors = dict(read_tensors(opened))
    text = json.dumps(manifest, sort_keys=True)
    save_file(tensors, path, metadata={"likewise": text, "sha256": _digest(text, tensors)})


def test_coarse_labels_of_every_kind_survive_the_file(tmp_path):
    pixels = picture(5, 64, 91)[0]
    support = likewise.Support(
        [
            likewise.Example(pixels, "a", masks={"x": np.eye(64, 91, dtype=bool), "y": np.ones((64, 91), bool)}),
            likewise.Example(pixels, "b", boxes={"x": [(3, 4, 30, 40)]}, points={"y": {"positive": [(5.5, 6)], "negative": [(60, 60)]}}),
            likewise.Example(pixels, "c", scribbles={"x": [[(1, 1), (20, 30)]]}, tags={"y": False}, unlabelled="unknown"),
        ]
    )
    task = likewise.learn(support, **SMALL)
    task.save(tmp_path / "t.task")
    for one, two in zip(support.examples, likewise.load(tmp_path / "t.task").support.examples, strict=True):
        assert one.labels.kinds() == two.labels.kinds()
        for number in support.classes:
            assert np.array_equal(one.labels.mask(number), two.labels.mask(number))
            assert one.labels.present(number) == two.labels.present(number)
        assert np.array_equal(one.labels.boxes.get(1, np.zeros((0, 4))), two.labels.boxes.get(1, np.zeros((0, 4))))
        assert one.labels.unlabelled == two.labels.unlabelled


def test_importing_likewise_loads_no_torch_and_is_quick():
    code = "import sys, likewise; likewise.__version__; print([m for m in ('torch', 'cv2', 'openvino', 'transformers', 'scipy') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def test_the_public_face_is_complete():
    assert set(likewise.__all__) <= set(dir(likewise))
    for name in likewise.__all__:
        assert getattr(likewise, name) is not None
    with pytest.raises(AttributeError, match="it has"):
        likewise.nothing  # noqa: B018


def test_examples_from_a_path_may_leave_pixels_unknown_and_a_support_says_so_itself(tmp_path):
    image, labels = picture(3, 57, 83)[:2]
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    Image.fromarray(image).save(tmp_path / "images" / "a.png")
    Image.fromarray(np.asarray(labels, np.uint8)).save(tmp_path / "masks" / "a.png")
    assert [example.labels.unlabelled for example in likewise.learn(tmp_path, unlabelled="unknown", **SMALL).support.examples] == ["unknown"]
    with pytest.raises(UsageError, match="unlabelled"):
        likewise.learn(support_of("analogy"), unlabelled="unknown", **SMALL)
