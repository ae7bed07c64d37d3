"""What a task keeps besides memory and tokens: pixels that a method learns from, settings that the support settled."""

import pytest
import torch
from safetensors import safe_open

import likewise
from likewise.backbones import FeatureSpec
from likewise.errors import InputError
from likewise.methods.base import Memory
from likewise.methods.ridge import RidgeBaseline
from likewise.tensors import read_tensors
from likewise.testing.conformance import BACKBONE, support_of

RIDGE = {"method": "ridge", "backbone": BACKBONE, "device": "cpu", "engine": "torch", "side": 140}
SPEC = FeatureSpec(layers=(-1,), side=140, pixels=90)


class TestPixels:
    @pytest.fixture
    def seeing(self, monkeypatch):
        """A task whose method asks for pixels, and learns something of them."""
        honest = RidgeBaseline.learn

        def learn(method, support, features):
            memory = honest(method, support, features)
            seen = torch.stack([item.pixels.float().mean((1, 2)) for item in features[SPEC]])
            return Memory({**memory.tensors, "seen": seen}, memory.facts)

        monkeypatch.setattr(RidgeBaseline, "_spec", SPEC)
        monkeypatch.setattr(RidgeBaseline, "learn", learn)
        return likewise.learn(support_of("ridge"), **RIDGE)

    def test_pixels_that_a_method_learns_from_are_kept_and_learned_from_again(self, seeing, tmp_path):
        loaded = likewise.load(seeing.save(tmp_path / "t.task"), engine="torch")
        for one, two in zip(seeing.kept, loaded.kept, strict=True):
            assert one[SPEC].pixels.shape[0] == 3
            assert torch.equal(one[SPEC].pixels, two[SPEC].pixels)
        assert torch.equal(loaded.forget("example-1").memory.tensors["seen"], seeing.memory.tensors["seen"][[0, 2]])

    def test_without_thumbnails_no_picture_is_in_the_file_at_all(self, seeing, tmp_path):
        path = seeing.save(tmp_path / "t.task", thumbnails=False)
        with safe_open(path, framework="pt") as opened:
            assert not [name for name, _ in read_tensors(opened) if "pixels" in name or "thumbnail" in name]
        with pytest.raises(InputError, match="compact"):
            likewise.load(path, engine="torch").forget("example-1")

    def test_without_thumbnails_features_alone_are_kept(self, tmp_path):
        plain = likewise.learn(support_of("ridge"), **RIDGE)
        loaded = likewise.load(plain.save(tmp_path / "t.task", thumbnails=False), engine="torch")
        assert len(loaded.forget("example-1").support) == 2


class TestSettledSettings:
    @pytest.fixture
    def task(self, monkeypatch):
        monkeypatch.setattr(RidgeBaseline, "settled", lambda method, support: RidgeBaseline(method.settings.changed(side=112 + 28 * len(support))))
        return likewise.learn(support_of("ridge", order=(0, 1)), **RIDGE)

    def test_what_the_support_settles_is_used_and_stored(self, task, tmp_path):
        assert task.method.settings.side == 168
        assert next(iter(task.kept[0])).side == 168
        assert task.describe()["settings"]["side"] == 168
        assert likewise.load(task.save(tmp_path / "t.task"), engine="torch").method.settings.side == 168

    def test_it_stays_when_examples_come_and_go(self, task):
        task.update(support_of("ridge", order=(2,)))
        assert task.method.settings.side == 168
        assert task.forget(["example-0", "example-1"]).method.settings.side == 168
