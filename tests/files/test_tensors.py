"""Tensors as safetensors files: the package that defines the format is the oracle."""

import numpy as np
import pytest
import safetensors
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save

from likewise.tensors import write_tensors

KINDS = ["uint64", "int64", "float64", "complex64", "float32", "uint32", "int32", "bfloat16", "float16", "uint16", "int16", "int8", "uint8", "bool"]
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(lambda name: name != "__metadata__")


def drawn(kind, shape, seed=0):
    count = int(np.prod(shape)) * getattr(torch, kind).itemsize
    raw = np.random.default_rng(seed).integers(0, 2 if kind == "bool" else 256, count, dtype=np.uint8)
    return torch.frombuffer(bytearray(raw), dtype=getattr(torch, kind)).reshape(shape) if count else torch.empty(shape, dtype=getattr(torch, kind))


@given(st.dictionaries(NAMES, st.tuples(st.sampled_from(KINDS), st.lists(st.integers(0, 5), max_size=3).map(tuple)), max_size=5))
def test_the_bytes_are_those_of_the_package(tmp_path_factory, shapes):
    tensors = {name: drawn(kind, shape) for name, (kind, shape) in shapes.items()}
    path = tmp_path_factory.mktemp("tensors") / "x.safetensors"
    write_tensors(path, tensors, {"one": 'größe \U0001f600 " \n'})
    assert path.read_bytes() == save(tensors, {"one": 'größe \U0001f600 " \n'})


def test_what_lies_otherwise_in_memory_or_twice_is_read_back(tmp_path):
    values = torch.arange(24.0).reshape(2, 3, 4)
    tensors = {"turned": values.permute(2, 0, 1), "part": values[:, 1], "whole": values, "trained": torch.nn.Parameter(values[0])}
    write_tensors(tmp_path / "x", tensors)
    read = load_file(tmp_path / "x")
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensors[name]) for name in tensors)


def test_the_same_tensors_and_words_give_the_same_bytes_in_any_order(tmp_path):
    tensors = {"b": torch.ones(3, dtype=torch.float16), "a": torch.ones(2), "c": torch.ones(1)}
    words = {str(number): "x" for number in range(20)}
    write_tensors(tmp_path / "1", tensors, words)
    write_tensors(tmp_path / "2", dict(reversed(tensors.items())), dict(reversed(words.items())))
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    with safetensors.safe_open(tmp_path / "1", "pt") as opened:
        assert opened.metadata() == words


def test_numbers_that_the_file_cannot_hold_are_refused_by_name_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="wide is complex128"):
        write_tensors(tmp_path / "x", {"small": torch.ones(2), "wide": torch.ones(2, dtype=torch.complex128)})
    assert not (tmp_path / "x").exists()
