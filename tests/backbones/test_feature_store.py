"""Features on disk: whole or missing, within their limit, and shared by processes of which one may be killed."""

import hashlib
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from likewise.backbones import FeatureProvider, FeatureSpec, FeatureStore, StageTimes, folder_of_environment, load_backbone
from likewise.errors import OutputError, UsageError

TENSORS = {"tokens": torch.arange(42, dtype=torch.float16).reshape(2, 7, 3), "prefix": torch.ones(2, 1, 3, dtype=torch.float16)}


def named(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


def content(number, values=500):
    return {"tokens": torch.full((values,), number, dtype=torch.float16)}


def kept(folder):
    return {path.stem for path in folder.rglob("*.safetensors")}


def held(folder):
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors"))


class TestReading:
    def test_what_is_written_is_read_by_another_process_of_the_folder(self, tmp_path):
        FeatureStore(tmp_path).write(named(0), TENSORS)
        read = FeatureStore(tmp_path).read(named(0))
        assert read.keys() == TENSORS.keys()
        assert all(torch.equal(read[name], TENSORS[name]) for name in TENSORS)
        assert FeatureStore(tmp_path).read(named(1)) is None

    @given(st.data())
    @settings(max_examples=60)
    def test_a_file_with_any_byte_changed_or_cut_anywhere_is_refused_and_made_anew(self, tmp_path_factory, data):
        folder = tmp_path_factory.mktemp("store")
        FeatureStore(folder).write(named(0), TENSORS)
        (path,) = folder.rglob("*.safetensors")
        whole = path.read_bytes()
        place = data.draw(st.integers(0, len(whole) - 1))
        changed = whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :]
        path.write_bytes(data.draw(st.sampled_from([whole[:place], changed, whole + b"\0"])))
        store = FeatureStore(folder)
        read = store.read(named(0))
        if read is not None:  # a change of the header that says the same, a space for another
            assert all(torch.equal(read[name], TENSORS[name]) for name in TENSORS)
            return
        assert store.counts.refused == 1
        store.write(named(0), TENSORS)
        assert path.read_bytes() == whole

    def test_a_file_of_another_name_or_program_is_refused(self, tmp_path):
        store = FeatureStore(tmp_path)
        for number in range(3):
            store.write(named(number), content(number))
        first, second, third = (tmp_path / named(number)[:2] / f"{named(number)}.safetensors" for number in range(3))
        first.write_bytes(second.read_bytes())
        third.unlink()
        save_file(content(2), third)
        assert store.read(named(0)) is None
        assert store.read(named(2)) is None
        assert torch.equal(store.read(named(1))["tokens"], content(1)["tokens"])
        assert store.counts.refused == 2

    def test_the_environment_names_a_folder_or_none(self, tmp_path, monkeypatch):
        monkeypatch.delenv("LIKEWISE_FEATURES", raising=False)
        assert folder_of_environment() is None
        monkeypatch.setenv("LIKEWISE_FEATURES", str(tmp_path))
        assert folder_of_environment() == tmp_path


class TestLimit:
    def test_the_folder_never_holds_more_and_the_oldest_used_go_first(self, tmp_path):
        store, last = FeatureStore(tmp_path, 40_000), {}
        random = np.random.default_rng(3)
        for step in range(150):
            number = int(random.integers(0, 60))
            if store.read(named(number)) is None:
                store.write(named(number), content(number))
            path = tmp_path / named(number)[:2] / f"{named(number)}.safetensors"
            os.utime(path, (step, step))  # clocks of files may be coarser than these steps
            last[named(number)] = step
            assert held(tmp_path) <= 40_000
        recent = sorted(last, key=last.get, reverse=True)
        count = len(kept(tmp_path))
        assert 10 < count < 40_000 // 1_000
        assert kept(tmp_path) == set(recent[:count])

    def test_a_file_that_was_read_is_a_young_one(self, tmp_path):
        FeatureStore(tmp_path).write(named(0), content(0))
        (path,) = tmp_path.rglob("*.safetensors")
        os.utime(path, (5, 5))
        FeatureStore(tmp_path).read(named(0))
        assert path.stat().st_mtime > 5

    def test_a_folder_is_counted_once_for_many_files(self, tmp_path, monkeypatch):
        store = FeatureStore(tmp_path, 10_000_000)
        counted = []
        monkeypatch.setattr(FeatureStore, "_files", lambda self: counted.append(1) or iter(()))
        for number in range(200):
            store.write(named(number), content(number))
        assert held(tmp_path) < 0.05 * 10_000_000
        assert len(counted) == 1

    def test_files_of_others_are_neither_counted_nor_dropped(self, tmp_path):
        foreign = [tmp_path / "notes.safetensors", tmp_path / named(0)[:2] / "mine.txt", tmp_path / "images" / f"{named(1)}.safetensors"]
        for path in foreign:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(bytes(50_000))
            os.utime(path, (1, 1))
        store = FeatureStore(tmp_path, 20_000)
        for number in range(30):
            store.write(named(number), content(number))
        assert all(path.stat().st_size == 50_000 for path in foreign)
        assert len(kept(tmp_path)) > 5

    def test_what_is_larger_than_the_limit_is_not_kept_and_drops_nothing(self, tmp_path):
        store = FeatureStore(tmp_path, 20_000)
        store.write(named(0), content(0))
        store.write(named(1), content(1, 15_000))
        assert kept(tmp_path) == {named(0)}

    def test_a_limit_of_nothing_is_refused(self, tmp_path):
        with pytest.raises(UsageError, match="0 bytes"):
            FeatureStore(tmp_path, 0)


class TestPlacesThatCannotBeUsed:
    def test_a_file_in_the_place_of_the_folder_is_said_at_once(self, tmp_path):
        (tmp_path / "file").write_text("x")
        with pytest.raises(OutputError, match="cannot be made"):
            FeatureStore(tmp_path / "file").start()

    def test_a_folder_that_can_no_longer_be_written_to_is_said_once_and_costs_no_answer(self, tmp_path):
        for number in range(256):
            (tmp_path / f"{number:02x}").write_text("in the way")
        image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
        spec = FeatureSpec(side=56)
        backbone = load_backbone("random:vit-tiny-14")
        provider = FeatureProvider(backbone, engine="torch", precision="float32", features=tmp_path)
        with pytest.warns(UserWarning, match="no longer kept") as said:
            found = [provider.extract([provider.prepare(pixels, (spec,))], spec)[0] for pixels in (image, 255 - image)]
        assert len(said) == 1
        plain = FeatureProvider(backbone, engine="torch", precision="float32")
        assert torch.equal(found[1].tokens, plain.extract([plain.prepare(255 - image, (spec,))], spec)[0].tokens)


WRITER = """
import hashlib, os, signal, sys
from pathlib import Path
import torch
from likewise.backbones.store import FeatureStore
folder, most, killed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
flush, flushed = os.fsync, []
def fsync(number):
    flushed.append(number)
    if len(flushed) == killed:
        os.kill(os.getpid(), signal.SIGKILL)
    flush(number)
os.fsync = fsync
store = FeatureStore(folder, most)
numbers = list(range(80)) * 3
for number in numbers if killed else reversed(numbers):
    name = hashlib.sha256(str(number).encode()).hexdigest()
    read = store.read(name)
    if read is None:
        store.write(name, {"tokens": torch.full((500,), number, dtype=torch.float16)})
    else:
        assert (read["tokens"] == number).all()
    sizes = 0
    for path in folder.rglob("*.safetensors"):
        try:
            sizes += path.stat().st_size
        except FileNotFoundError:
            pass
    assert sizes <= most, sizes
print(store.counts.refused)
"""


def test_two_processes_share_a_folder_and_one_that_is_killed_harms_nothing(tmp_path):
    most = 60_000
    script = [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path), str(most)]
    dying = subprocess.Popen([*script, "40"])
    living = subprocess.Popen([*script, "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert dying.wait(120) == -9
    said, errors = living.communicate(timeout=120)
    assert (living.returncode, said, errors) == (0, "0\n", "")
    left = list(tmp_path.rglob("*.tmp"))
    assert len(left) <= 1  # gone already where the living one came to the same folder first after the kill
    store = FeatureStore(tmp_path, most)
    store.start()
    assert not list(tmp_path.rglob("*.tmp"))
    found = [number for number in range(80) if (read := store.read(named(number))) is not None and (read["tokens"] == number).all()]
    assert len(found) == len(kept(tmp_path)) > 20
    assert store.counts.refused == 0
    assert held(tmp_path) <= most


def test_what_a_killed_writer_left_is_removed_at_the_next_start(tmp_path):
    script = [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path), "60000", "7"]
    assert subprocess.run(script, check=False).returncode == -9
    assert len(list(tmp_path.rglob("*.tmp"))) == 1
    FeatureStore(tmp_path).start()
    assert not list(tmp_path.rglob("*.tmp"))
    assert len(kept(tmp_path)) == 6


class TestProvider:
    spec = FeatureSpec(layers=(1, -1), side=56, qk=True)

    def images(self, provider, seeds):
        return [provider.prepare(np.random.default_rng(seed).integers(0, 256, (60 + 20 * (seed % 2), 90, 3), np.uint8), (self.spec,)) for seed in seeds]

    def test_hits_and_misses_are_counted_and_their_time_has_a_stage_of_its_own(self, tmp_path):
        provider = FeatureProvider(load_backbone("random:vit-tiny-14"), engine="torch", precision="float32", features=tmp_path)
        times = StageTimes()
        provider.extract(self.images(provider, (0, 1, 2)), self.spec, times)
        found = provider.extract(self.images(provider, (3, 1, 0, 4, 2)), self.spec, times)
        assert (provider.store.counts.hits, provider.store.counts.misses) == (3, 5)
        assert provider.store.counts.sentence == "features: 3 read from the cache, 5 made"
        assert set(times.seconds) == {"backbone", "cache"}
        plain = FeatureProvider(load_backbone("random:vit-tiny-14"), engine="torch", precision="float32")
        for one, other in zip(found, plain.extract(self.images(plain, (3, 1, 0, 4, 2)), self.spec), strict=True):
            assert all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("tokens", "prefix", "q", "k", "prefix_qk"))
            assert (one.grid, one.size) == (other.grid, other.size)

    def test_another_backbone_of_a_wish_shares_folder_limit_and_counts(self, tmp_path):
        store = FeatureStore(tmp_path, 10_000_000)
        provider = FeatureProvider(load_backbone("random:vit-tiny-14"), engine="torch", precision="float32", features=store)
        assert provider.serving(FeatureSpec(backbone="random:vit-tiny-8")).store is store
