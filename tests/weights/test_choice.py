import pytest
from safetensors.torch import save_file

from likewise.errors import UsageError, WeightsError
from likewise.weights import entries, resolve, set_default


def test_a_name_stands_for_itself():
    assert resolve("dinov2-base") == "dinov2-base"


def test_an_unknown_name_is_a_usage_error():
    with pytest.raises(UsageError, match="did you mean 'dinov2-base'"):
        resolve("dinov2-bas")


def test_the_first_use_takes_the_stand_in_where_the_hub_is_out_of_reach(small_registry, capsys):
    assert resolve() == "dinov2-reg-small-sphere"
    said = capsys.readouterr()
    assert said.out == ""
    assert "likewise weights default" in said.err
    assert "dinov2-reg-small-sphere" in said.err


def test_the_first_use_takes_the_official_weights_where_they_are_there(small_registry, tensors, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    save_file(tensors, tmp_path / "mine" / "dinov2-reg-small.safetensors")
    monkeypatch.setenv("LIKEWISE_WEIGHTS", str(tmp_path / "mine"))
    assert resolve() == "dinov2-reg-small"


def test_the_choice_is_remembered_and_said_once(small_registry, wheel, capsys):
    resolve()
    capsys.readouterr()
    wheel[0].unlink()
    assert resolve() == "dinov2-reg-small-sphere"
    assert capsys.readouterr().err == ""


def test_the_default_can_be_changed_to_what_is_here(small_registry, tensors, tmp_path, monkeypatch):
    resolve()
    (tmp_path / "mine").mkdir()
    save_file(tensors, tmp_path / "mine" / "dinov2-reg-small.safetensors")
    monkeypatch.setenv("LIKEWISE_WEIGHTS", str(tmp_path / "mine"))
    set_default("dinov2-reg-small")
    assert resolve() == "dinov2-reg-small"


def test_the_default_cannot_be_what_is_not_here(small_registry):
    with pytest.raises(WeightsError, match="likewise weights pull dinov2-reg-small"):
        set_default("dinov2-reg-small")


def test_without_any_weights_it_says_what_to_type(small_registry, wheel, monkeypatch):
    wheel[0].unlink()
    monkeypatch.setenv("LIKEWISE_OFFLINE", "1")
    with pytest.raises(WeightsError, match="likewise weights pull dinov2-reg-small-sphere"):
        resolve()


def test_a_note_about_weights_that_are_gone_from_the_registry_is_not_believed(small_registry, own_cache):
    own_cache.mkdir(exist_ok=True)
    (own_cache / "default.json").write_text('{"backbone": "of-old"}')
    assert resolve() in entries()
