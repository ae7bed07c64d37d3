"""Runs that keep features on disk: the same bytes, made once."""

import json

import pytest
from small_runs import COUNT, content, draw, write_images

import likewise
from likewise.backbones import FeatureStore
from likewise.cli import main
from likewise.formats import list_images
from likewise.labelling import label_folder, look_ahead


@pytest.fixture(scope="module")
def task_file(task, tmp_path_factory):
    return task.save(tmp_path_factory.mktemp("task") / "small.task")


@pytest.fixture
def cached(task_file, tmp_path):
    """Open the small task with features kept in a folder."""
    return lambda cache=tmp_path / "kept": likewise.load(task_file, device="cpu", engine="torch", precision="float32", cache=cache)


def counts(summary):
    return summary.cache.hits, summary.cache.misses, summary.cache.refused


def test_labels_made_with_and_of_features_on_disk_are_those_made_without_to_every_byte(cached, images, undisturbed, tmp_path):
    first = label_folder(cached(), images, tmp_path / "first")
    second = label_folder(cached(), images, tmp_path / "second")
    assert (counts(first), counts(second)) == ((0, COUNT, 0), (COUNT, 0, 0))
    assert content(tmp_path / "first") == content(tmp_path / "second") == content(undisturbed[0])
    assert undisturbed[1].cache is None
    assert second.seconds["cache"] > 0
    assert "backbone" not in second.seconds


def test_damaged_features_are_made_anew_and_change_no_label(cached, images, undisturbed, tmp_path):
    label_folder(cached(), images, tmp_path / "first")
    for number, path in enumerate(sorted((tmp_path / "kept").rglob("*.safetensors"))):
        if number % 3 == 0:
            path.write_bytes(path.read_bytes()[: 50 * number])
    second = label_folder(cached(), images, tmp_path / "second")
    assert counts(second) == (COUNT - 13, 13, 13)
    assert content(tmp_path / "second") == content(undisturbed[0])


def test_a_small_limit_drops_features_and_changes_no_label(cached, images, undisturbed, tmp_path):
    store = FeatureStore(tmp_path / "kept", 60_000)
    label_folder(cached(store), images, tmp_path / "first")
    assert content(tmp_path / "first") == content(undisturbed[0])
    assert 20_000 < sum(path.stat().st_size for path in (tmp_path / "kept").rglob("*.safetensors")) <= 60_000


def test_learning_and_changing_a_task_reads_the_same_features(tmp_path):
    examples = [likewise.Example(draw(seed, (56, 84))[0], name=str(seed), label_map=draw(seed, (56, 84))[1]) for seed in (0, 1, 3)]
    options = {"method": "prototype", "backbone": "random:vit-tiny-14", "device": "cpu", "engine": "torch", "precision": "float32", "side": 84}
    digests = []
    for cache in (None, tmp_path, tmp_path):
        task = likewise.learn(likewise.Support(examples[:2], classes={1: "disc", 3: "bar"}), cache=cache, **options)
        task.update(likewise.Support(examples[2:], classes={1: "disc", 3: "bar"}))
        digests.append(task.digest)
    assert len(set(digests)) == 1
    assert (task.cached.hits, task.cached.misses) == (3, 0)


def test_a_look_ahead_neither_reads_nor_keeps_features(cached, images, tmp_path):
    task, listed = cached(), list_images(images)
    look_ahead(task, listed, 4)
    assert not list((tmp_path / "kept").rglob("*.safetensors"))
    label_folder(task, images, tmp_path / "labels")
    before = task.cached
    look_ahead(task, listed, 4)
    assert task.cached.since(before).hits == 0
    assert label_folder(task, images, tmp_path / "again").cache.hits == COUNT


class TestCommandLine:
    @pytest.fixture
    def run(self, monkeypatch, tmp_path, capsys):
        monkeypatch.setenv("LIKEWISE_CACHE", str(tmp_path / "program"))
        monkeypatch.delenv("LIKEWISE_FEATURES", raising=False)

        def call(*arguments):
            code = main([*map(str, arguments), "--engine", "torch"])
            said = capsys.readouterr()
            return code, said.out, said.err

        return call

    def test_the_summary_says_what_was_read_and_made(self, run, task_file, tmp_path):
        images = write_images(tmp_path / "images", 4)
        run("label", task_file, images, "--out", tmp_path / "1", "--cache", "auto")
        code, out, _ = run("label", task_file, images, "--out", tmp_path / "2", "--cache", "auto", "--profile")
        assert code == 0
        assert "features: 4 read from the cache, 0 made" in out
        assert len(list((tmp_path / "program/features-of-labelling").rglob("*.safetensors"))) == 4
        _, out, _ = run("label", task_file, images, "--out", tmp_path / "3", "--cache", "auto", "--json")
        assert json.loads(out)["cache"] == {"hits": 4, "misses": 0, "refused": 0}
        _, out, _ = run("label", task_file, images, "--out", tmp_path / "4")
        assert "features" not in out

    def test_what_learn_passed_through_the_backbone_label_need_not(self, run, tmp_path):
        from PIL import Image

        for name in ("a", "b"):
            pixels, labels = draw(ord(name), (56, 84))
            for part, picture in (("images", pixels), ("masks", labels)):
                (tmp_path / "examples" / part).mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture).save(tmp_path / "examples" / part / f"{name}.png")
        (tmp_path / "examples/classes.json").write_text('{"1": "disc", "3": "bar"}')
        own = ("--method", "prototype", "--backbone", "random:vit-tiny-14", "--set", "side=84", "--cache", tmp_path / "kept", "--cache-size", "5MB")
        code, _, err = run("learn", tmp_path / "examples", "--split", "all", "--out", tmp_path / "x.task", *own)
        assert code == 0, err
        assert "features: 0 read from the cache, 2 made" in err
        code, out, _ = run("label", tmp_path / "x.task", tmp_path / "examples/images", "--out", tmp_path / "labels", "--cache", tmp_path / "kept")
        assert code == 0
        assert "features: 2 read from the cache, 0 made" in out

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--cache-size", "1GB"], "no features are kept"),
            (["--cache", "kept", "--cache-size", "many"], "'many' is no size"),
            (["--cache", "kept", "--cache-size", "-1"], "'-1' is no size"),
            (["--cache", "kept", "--cache-size", "0.1"], "'0.1' is no size"),
            (["--cache", __file__], "cannot be made"),
        ],
    )
    def test_what_makes_no_sense_is_refused_before_anything_is_read(self, run, tmp_path, monkeypatch, options, words):
        monkeypatch.chdir(tmp_path)
        for verb in (["label", "no-examples", "no-images"], ["learn", "no-examples"]):
            code, _, err = run(*verb, "--out", tmp_path / "new.task", *options)
            assert code == 2
            assert words in err
        assert not (tmp_path / "kept").exists()
