"""Methods through episodes: answers are counted rightly, runs go on where they stopped, bad input stops them early."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks_made import labelled_folder
from PIL import Image

from likewise.data import Support
from likewise.episodes import evaluation
from likewise.episodes.evaluation import Contender, Runner, Setting, drawn
from likewise.episodes.labelled import LabelledBenchmark
from likewise.episodes.outcome import Scores
from likewise.episodes.support import support_of
from likewise.errors import InputError, OutputError, UsageError
from likewise.task import learn
from likewise.task.learning import Place

SETTING = Setting(way=2, shot=(2, 1), episodes=6)
SETTINGS = {"side": 56}


def contender(**changed):
    facts = {"method": "prototype", "backbone": "random:vit-tiny-14", "settings": SETTINGS, "place": Place("cpu", "torch")}
    return Contender(**facts | changed)


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    folder = labelled_folder(tmp_path_factory.mktemp("set"), {1: 4, 2: 4, 3: 5}, {"both": {1: (2, 3), 3: (20, 30)}})
    return LabelledBenchmark.open(folder, folds=1)


def test_every_episode_is_learned_and_answered_as_the_public_face_does(benchmark):
    found = Runner(contender()).evaluate(benchmark, SETTING)
    episodes = drawn(benchmark, SETTING)
    assert [one.query for one in found.outcomes] == [episode.query for episode in episodes]
    for episode, outcome in list(zip(episodes, found.outcomes, strict=True))[:3]:
        support = support_of(episode, benchmark)
        assert isinstance(support, Support)
        task = learn(support, "prototype", "random:vit-tiny-14", engine="torch", device="cpu", **SETTINGS)
        prediction = task.predict(benchmark.source(episode.query))
        truth = benchmark.labels(episode.query)
        for place, number in enumerate(episode.classes, start=1):
            said, is_so = prediction.labels == place, truth == number
            assert outcome.counts[0][place] == (said & is_so).sum()
            assert outcome.counts[1][place] == (said | is_so).sum()
            assert outcome.truth[place - 1] == is_so.any()
        assert outcome.present == [p >= 0.5 for p in prediction.present.values()]


def test_in_fss_a_class_takes_pixels_even_if_it_is_thought_absent(benchmark, monkeypatch):
    runner = Runner(contender())
    predict = type(runner.method).predict

    def nowhere(raw):
        return replace(raw, presence=0 * raw.presence)

    monkeypatch.setattr(type(runner.method), "predict", lambda *given: [nowhere(raw) for raw in predict(*given)])
    found = {frame: runner.evaluate(benchmark, Setting(frame=frame, episodes=4)).outcomes for frame in ("fscs", "fss")}
    for outcome in found["fscs"]:
        truth = benchmark.labels(outcome.query)
        assert outcome.counts[1][1] == (truth == outcome.classes[0]).sum()  # nothing was labelled
    for episode, outcome in zip(drawn(benchmark, Setting(frame="fss", episodes=4)), found["fss"], strict=True):
        task = learn(support_of(episode, benchmark), "prototype", "random:vit-tiny-14", engine="torch", device="cpu", **SETTINGS)
        likelier = task.predict(benchmark.source(episode.query)).scores.argmax(axis=0) == 1
        assert outcome.counts[0][1] == (likelier & (benchmark.labels(episode.query) == episode.classes[0])).sum()
        assert likelier.any()
        assert (outcome.truth, outcome.present) == ([True], [False])


@pytest.mark.parametrize("labelling", ["mask", "box", "point", "tag"])
def test_every_kind_of_support_is_taken(benchmark, labelling):
    found = Runner(contender()).evaluate(benchmark, replace(SETTING, labelling=labelling, episodes=2))
    assert len(found.outcomes) == 2


def test_chance_of_prompts_hangs_on_the_seed_and_the_episode(benchmark):
    setting = replace(SETTING, labelling="point", points=2, seed=3)
    assert (setting.prompting(7).seed, setting.prompting(7).points) == ((3, 7), 2)
    runner = Runner(contender())
    two = [runner.evaluate(benchmark, replace(setting, negative=negative)).outcomes for negative in (0, 0, 2)]
    assert two[0] == two[1] != two[2]


def test_a_run_that_was_stopped_goes_on_and_a_longer_one_follows_a_shorter_one(benchmark, tmp_path, monkeypatch):
    whole = Runner(contender()).evaluate(benchmark, replace(SETTING, episodes=8))
    asked = []
    original = Runner._answer
    monkeypatch.setattr(Runner, "_answer", lambda self, data, setting, index, episode: asked.append(index) or original(self, data, setting, index, episode))

    def stop(done, of):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Runner(contender()).evaluate(benchmark, SETTING, tmp_path / "out", stop)
    for episodes in (6, 8):
        found = Runner(contender()).evaluate(benchmark, replace(SETTING, episodes=episodes), tmp_path / "out")
    assert asked == list(range(8))
    assert found.outcomes == whole.outcomes
    assert Runner(contender()).evaluate(benchmark, replace(SETTING, episodes=5), tmp_path / "out").outcomes == whole.outcomes[:5]


def test_a_folder_of_other_settings_is_refused(benchmark, tmp_path):
    Runner(contender()).evaluate(benchmark, replace(SETTING, episodes=1), tmp_path / "out")
    for other, setting in ((contender(settings={"side": 70}), SETTING), (contender(), replace(SETTING, seed=2))):
        with pytest.raises(OutputError, match=r"differs in (settings|seed)"):
            Runner(other).evaluate(benchmark, setting, tmp_path / "out")


def test_a_killed_run_goes_on_to_the_same_totals(benchmark, tmp_path):
    program = f"""
from pathlib import Path
from likewise.episodes.evaluation import Contender, Runner, Setting
from likewise.episodes.labelled import LabelledBenchmark
from likewise.task.learning import Place
import time
data = LabelledBenchmark.open(Path({str(benchmark._dataset.folder)!r}), folds=1)
made = Contender(method="prototype", backbone="random:vit-tiny-14", settings={SETTINGS!r}, place=Place("cpu", "torch"))
Runner(made).evaluate(data, Setting(way=2, shot=(2, 1), episodes=6), Path({str(tmp_path / "out")!r}), lambda done, of: time.sleep(0.3))
"""
    lines = tmp_path / "out" / "episodes.jsonl"
    source = str(Path(evaluation.__file__).parents[2])
    process = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": source})
    while process.poll() is None and not (lines.exists() and lines.read_bytes().count(b"\n") >= 2):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 2 <= lines.read_bytes().count(b"\n") < 6
    found = Runner(contender()).evaluate(benchmark, SETTING, tmp_path / "out")
    assert found.outcomes == Runner(contender()).evaluate(benchmark, SETTING).outcomes


def test_a_trained_method_takes_its_checkpoint_and_says_so(benchmark):
    runner = Runner(contender(method="cst", checkpoint="random", settings={"side": 112}))
    found = runner.evaluate(benchmark, replace(SETTING, episodes=2, labelling="tag"))
    assert runner.weights["checkpoint"]["name"] == "random"
    assert set(Scores(found.outcomes, found.classes, "fscs").values()) == {"exact_ratio", "miou", "miou_official", "fb_iou"}


def test_features_are_kept_up_to_a_limit_about_as_large_as_foretold(benchmark, tmp_path, monkeypatch):
    monkeypatch.delenv("LIKEWISE_FEATURES", raising=False)
    setting = replace(SETTING, episodes=3)
    images = len(evaluation.names_in(drawn(benchmark, setting)))
    runner = Runner(contender(), tmp_path / "kept", most=10**9)
    found = runner.evaluate(benchmark, setting)
    files = list((tmp_path / "kept").rglob("*.safetensors"))
    assert len(files) == images
    foretold = sum(evaluation.feature_bytes(spec, runner._provider.backbone.config) for spec in runner.method.wants())
    assert 0.5 * foretold < sum(file.stat().st_size for file in files) / images < 2 * foretold
    with pytest.warns(UserWarning, match=f"features of {images} images would take"):
        small = Runner(contender(), tmp_path / "small", most=foretold * images - 1).evaluate(benchmark, setting)
    assert small.outcomes == found.outcomes
    assert not (tmp_path / "small").exists()


class TestBadInput:
    def test_a_support_that_the_method_does_not_take(self, benchmark, monkeypatch):
        runner = Runner(contender())
        monkeypatch.setattr(type(runner.method), "takes", frozenset())
        with pytest.raises(UsageError, match="does not take a box"):
            runner.evaluate(benchmark, replace(SETTING, labelling="box"))

    def test_an_image_that_is_gone_stops_the_run_before_the_weights_are_opened(self, tmp_path, monkeypatch):
        folder = labelled_folder(tmp_path / "set", {1: 2, 2: 2})
        data = LabelledBenchmark.open(folder, folds=1)
        (folder / "images" / "c1-0.png").unlink()
        monkeypatch.setattr(evaluation, "open_provider", lambda *_: pytest.fail("slow work was begun"))
        with pytest.raises(InputError, match="not there any more"):
            Runner(contender()).evaluate(data, Setting(episodes=20))

    def test_a_mask_that_changed_since_is_named_with_its_episode(self, tmp_path):
        folder = labelled_folder(tmp_path / "set", {1: 2, 2: 2})
        data = LabelledBenchmark.open(folder, folds=1)
        for mask in (folder / "masks").iterdir():
            Image.fromarray(np.zeros((5, 5), np.uint8)).save(mask)
        with pytest.raises(InputError, match="5x5, its image") as caught:
            Runner(contender()).evaluate(data, Setting(episodes=3))
        assert caught.value.where.startswith("episode 0: ")
