"""Training checkpoints, opened without running what they name."""

import io
import json
import pickle
import zipfile
from argparse import Namespace
from collections import OrderedDict
from dataclasses import asdict, replace
from pathlib import PosixPath

import pytest
import torch
from safetensors.torch import save_file

from likewise.errors import WeightsError
from likewise.weights.checkpoints import CARD, Card, read_card, read_checkpoint, read_lightning, write_checkpoint


class Callback:
    """An object of the training program, with a state of its own."""

    def __init__(self):
        self.best, self.values = 0.5, [1, 2]


class Trap:
    """What a harmful pickle does: it names a function to be called when it is opened."""

    def __reduce__(self):
        return (print, ("this must not run",))


STATE = OrderedDict(
    {
        "learner.a": torch.arange(30.0).reshape(5, 6),
        "learner.part": torch.arange(30.0).reshape(5, 6)[1:4, ::2],
        "learner.half": torch.ones(3, dtype=torch.bfloat16),
        "learner.count": torch.tensor(7),
        "backbone.b": torch.nn.Parameter(torch.ones(2, 1)),
    }
)


def lightning(path, **extra):
    content = {"state_dict": STATE, "epoch": 3, "callbacks": {Callback: Callback()}, "hyper_parameters": Namespace(lr=1e-3, out=PosixPath("x")), **extra}
    torch.save(content, path)
    return path


def test_a_checkpoint_full_of_foreign_objects_gives_its_tensors(tmp_path):
    found = read_lightning(lightning(tmp_path / "a.ckpt", set={1, 2}, nested=[{"x": (Callback(), Namespace())}]))
    assert found.keys() == STATE.keys()
    for name, tensor in STATE.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_a_plain_state_dict_is_read_too(tmp_path):
    torch.save({"a": torch.ones(3)}, tmp_path / "a.pt")
    assert torch.equal(read_lightning(tmp_path / "a.pt")["a"], torch.ones(3))


def test_nothing_that_a_checkpoint_names_is_run(tmp_path, capsys):
    read_lightning(lightning(tmp_path / "a.ckpt", trap=Trap()))
    assert capsys.readouterr().out == ""


def rewritten(source, out, **changed):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, changed.get(name.rpartition("/")[2], old.read(name)))
    return out


def test_a_checkpoint_that_is_cut_off_is_refused(tmp_path):
    whole = lightning(tmp_path / "a.ckpt").read_bytes()
    for length in (0, 40, len(whole) // 2, len(whole) - 30):
        (tmp_path / "b.ckpt").write_bytes(whole[:length])
        with pytest.raises(WeightsError, match="Fetch it again"):
            read_lightning(tmp_path / "b.ckpt")


def test_tensors_that_reach_beyond_their_numbers_are_refused(tmp_path):
    source = lightning(tmp_path / "a.ckpt")
    with zipfile.ZipFile(source) as archive:
        first = min((name for name in archive.namelist() if "/data/" in name), key=lambda name: int(name.rpartition("/")[2])).rpartition("/")[2]
    with pytest.raises(WeightsError, match="another size than it says"):
        read_lightning(rewritten(source, tmp_path / "b.ckpt", **{first: b"\0" * 8}))


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {"a": 1}}, {"state_dict": 5}, "text"])
def test_what_holds_no_tensors_by_name_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match="no tensors by name"):
        read_lightning(tmp_path / "a.pt")


def test_a_pickle_of_numpys_or_of_python_alone_is_refused(tmp_path):
    (tmp_path / "a.ckpt").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(WeightsError, match="no checkpoint of torch"):
        read_lightning(tmp_path / "a.ckpt")


def test_a_member_that_calls_a_tensor_function_with_foreign_numbers_is_refused(tmp_path):
    class Fake:
        def __reduce__(self):
            return (torch._utils._rebuild_tensor_v2, ([1, 2], 0, (2,), (1,), False, OrderedDict()))

    buffer = io.BytesIO()
    pickle.dump({"a": Fake()}, buffer, protocol=2)
    source = lightning(tmp_path / "a.ckpt")
    with pytest.raises(WeightsError, match="no numbers"):
        read_lightning(rewritten(source, tmp_path / "b.ckpt", **{"data.pkl": buffer.getvalue()}))


def test_what_was_written_is_read_with_its_hash_and_card(tmp_path):
    path = tmp_path / "a.safetensors"
    card = Card("cst", {"side": 56, "kernels": (3, 6)}, {"name": "b", "sha256": "0"}, [{"benchmark": "x", "classes": ["cat"]}], {"episodes": 7})
    write_checkpoint(STATE, path, card)
    tensors, digest = read_checkpoint(path)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in STATE.items())
    assert len(digest) == 64
    found = read_card(path)
    assert found == replace(card, settings={"side": 56, "kernels": [3, 6]})


def test_a_checkpoint_of_another_program_has_no_card(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(2)}, path, {"training": "{}"})
    assert read_card(path) is None
    write_checkpoint({"a": torch.ones(2)}, path)
    assert read_card(path) is None


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"method": "cst"}), json.dumps({**asdict(Card("cst")), "settings": 3})])
def test_a_card_that_cannot_be_understood_is_an_error(tmp_path, text):
    save_file({"a": torch.ones(2)}, tmp_path / "a.safetensors", {CARD: text})
    with pytest.raises(WeightsError, match="says of itself"):
        read_card(tmp_path / "a.safetensors")


def test_a_truncated_file_has_no_card_but_an_error(tmp_path):
    path = tmp_path / "a.safetensors"
    write_checkpoint(STATE, path, Card("cst"))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(WeightsError, match="not a safetensors file"):
        read_card(path)


def test_the_checkpoints_of_other_systems_are_opened(shared):
    for name in ("vtm_ckpt_meta.ckpt", "vtm_ckpt_finetuned.ckpt"):
        assert read_lightning(shared / "golden" / name)
