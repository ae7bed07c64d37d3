import pytest

from likewise.errors import WeightsError
from likewise.weights import cache


def test_the_environment_chooses_the_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LIKEWISE_CACHE", str(tmp_path / "mine"))
    assert cache.cache_folder() == tmp_path / "mine"


def test_without_it_the_folder_is_the_operating_systems(monkeypatch):
    monkeypatch.delenv("LIKEWISE_CACHE")
    assert "likewise" in cache.cache_folder().parts


@pytest.mark.parametrize(("value", "forbidden"), [("", False), ("0", False), ("false", False), ("No", False), ("1", True), ("yes", True)])
def test_offline_is_read_from_the_environment(monkeypatch, value, forbidden):
    monkeypatch.setenv("LIKEWISE_OFFLINE", value)
    assert cache.offline() is forbidden


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "facts.json"
    cache.write_json(path, {"a": 1})

    def fail(temporary):
        temporary.write_text("half")
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        cache.write_atomically(path, fail)
    assert cache.read_json(path) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["facts.json"]


@pytest.mark.parametrize("content", ["", "[1, 2]", "{", "\x00\xff"])
def test_a_broken_note_reads_as_none(tmp_path, content):
    path = tmp_path / "note.json"
    path.write_text(content, encoding="latin-1")
    assert cache.read_json(path) is None


def test_a_cache_that_cannot_be_written_is_said_with_the_remedy(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WeightsError, match="LIKEWISE_CACHE"):
        cache.write_json(tmp_path / "file" / "note.json", {})
