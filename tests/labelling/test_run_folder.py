"""An output folder is guarded: one writer, one run, and nothing of the user's overwritten."""

import json
import os

import pytest

from likewise.errors import OutputError
from likewise.labelling.folder import OWN_FILES, OutputFolder, opened
from likewise.labelling.plan import BatchPlan

FINGERPRINT = {"task": "a" * 64, "engine": "torch"}


def begun(path, **changes):
    with opened(path) as folder:
        folder.begin(FINGERPRINT | changes, None, 4, resume=False)
        folder.extend(["a.jpg", "b.jpg"])
    return path


def test_a_second_writer_is_refused_at_once_and_let_in_when_the_first_is_done(tmp_path):
    with opened(tmp_path / "out"), pytest.raises(OutputError, match="another run is writing"), opened(tmp_path / "out"):
        pass
    with opened(tmp_path / "out") as folder:
        assert folder.staging.is_dir()


@pytest.mark.parametrize("finished", [True, False])
def test_a_folder_that_holds_a_run_asks_for_resume(tmp_path, finished):
    begun(tmp_path)
    described = tmp_path / "run.json"
    described.write_text(described.read_text().replace('"finished": false', f'"finished": {str(finished).lower()}'))
    with opened(tmp_path) as folder, pytest.raises(OutputError, match="a finished run" if finished else "an unfinished run") as raised:
        folder.begin(FINGERPRINT, None, 4, resume=False)
    assert "--resume" in raised.value.remedy


def test_a_run_of_another_fingerprint_is_refused_with_what_differs(tmp_path):
    begun(tmp_path)
    with opened(tmp_path) as folder, pytest.raises(OutputError) as raised:
        folder.begin({"task": "b" * 64, "precision": "bfloat16", "engine": "torch"}, 8, 4, resume=True)
    for words in ("task was aaaa", "precision was absent, is bfloat16", "batch was 4, is 8"):
        assert words in raised.value.what
    assert "engine" not in raised.value.what


def test_the_batch_of_the_run_is_kept_where_none_is_asked_for(tmp_path):
    begun(tmp_path)
    with opened(tmp_path) as folder:
        folder.begin(FINGERPRINT, None, 16, resume=True)
        assert folder.state.plan == BatchPlan(4, 32)


@pytest.mark.parametrize("name", OWN_FILES[1:])
def test_a_foreign_file_with_one_of_our_names_is_not_overwritten(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with opened(tmp_path) as folder, pytest.raises(OutputError, match=name):
        folder.begin(FINGERPRINT, None, 4, resume=False)
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("text", ["", "{}", '{"version": 1}', "[]", '{"version": 99}'])
def test_a_run_json_that_is_not_ours_is_refused(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with opened(tmp_path) as folder, pytest.raises(OutputError, match=r"does not describe|another version"):
        folder.begin(FINGERPRINT, None, 4, resume=True)


def test_new_images_follow_as_a_part_of_their_own_and_gone_ones_stay(tmp_path):
    begun(tmp_path)
    with opened(tmp_path) as folder:
        folder.begin(FINGERPRINT, None, 4, resume=True)
        assert list(folder.extend(["a.jpg", "aa.jpg", "c.jpg"])) == ["a.jpg", "b.jpg", "aa.jpg", "c.jpg"]
        assert [part["images"] for part in folder.state.parts] == [2, 2]
    with opened(tmp_path) as folder:
        folder.begin(FINGERPRINT, None, 4, resume=True)
        assert list(folder.extend(["a.jpg"])) == ["a.jpg", "b.jpg", "aa.jpg", "c.jpg"]


def test_an_edited_list_is_refused(tmp_path):
    begun(tmp_path)
    (tmp_path / ".likewise" / "list-1.txt").write_text('"a.jpg"\n')
    with opened(tmp_path) as folder:
        folder.begin(FINGERPRINT, None, 4, resume=True)
        with pytest.raises(OutputError, match="list of images"):
            folder.extend(["a.jpg"])


def test_a_manifest_out_of_order_is_refused_with_its_line(tmp_path):
    begun(tmp_path)
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps({"image": name}) + "\n" for name in ("a.jpg", "c.jpg")))
    with opened(tmp_path) as folder, pytest.raises(OutputError, match="out of order") as raised:
        list(folder.lines(["a.jpg", "b.jpg"]))
    assert raised.value.where.endswith("line 2")


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize(("there", "stands"), [(None, True), (b"new", True), (b"mine", False)])
def test_a_label_takes_its_place_only_if_nothing_else_stands_there(tmp_path, monkeypatch, links, there, stands):
    if not links:

        def refuse(*_):
            raise PermissionError("this file system has no links")

        monkeypatch.setattr(os, "link", refuse)
    with opened(tmp_path) as folder:
        (folder.staging / "deep").mkdir()
        (folder.staging / "deep/x.png").write_bytes(b"new")
        if there is not None:
            (tmp_path / "deep").mkdir()
            (tmp_path / "deep/x.png").write_bytes(there)
        _, got = folder.commit(OutputFolder(tmp_path).path.relative_to(tmp_path) / "deep/x.png")
        assert got is stands
        assert (tmp_path / "deep/x.png").read_bytes() == (there or b"new")
        assert not (folder.staging / "deep/x.png").exists()


def test_a_file_about_the_whole_run_replaces_our_own_but_not_anybody_elses(tmp_path):
    begun(tmp_path)
    with opened(tmp_path) as folder:
        folder.begin(FINGERPRINT, None, 4, resume=True)
        name = folder.path.relative_to(tmp_path) / "all.json"
        for text in ("first", "second"):
            (folder.staging / name).write_text(text)
            assert folder.commit_final(name)
        (tmp_path / name).write_text("edited")
        (folder.staging / name).write_text("third")
        assert not folder.commit_final(name)
        assert (tmp_path / name).read_text() == "edited"


def test_a_place_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"), opened(tmp_path / "file"):
        pass
