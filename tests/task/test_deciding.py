"""A task that says which images to look at: by what it says of its examples without having seen them."""

import warnings

import numpy as np
import pytest

import likewise
from likewise.data import ClassTable, Example, OutputKind, Prediction, Support
from likewise.errors import InputError, UsageError
from likewise.methods.base import PRESENCE_LEFT_OUT
from likewise.task.deciding import ASKED, Rule, decided, parse_share, rules_of
from likewise.task.left_out import PARTS
from likewise.testing.conformance import BACKBONE

SMALL = {"method": "prototype", "backbone": BACKBONE, "device": "cpu", "engine": "torch", "side": 56}
CLASSES = {2: "disc", 5: "bar"}


def pixels_and_labels(seed):
    """A noisy picture: a bright disc unless the seed is a multiple of 3, a dark bar where it is odd."""
    noise = np.random.default_rng(seed)
    pixels, labels = noise.integers(60, 170, (45, 63, 3)).astype(np.uint8), np.zeros((45, 63), np.uint8)
    rows, columns = np.mgrid[:45, :63]
    if seed % 3:
        where = (rows - 20) ** 2 + (columns - 18) ** 2 < 9.0**2 + seed
        pixels[where], labels[where] = (225, 190, 60), 2
    if seed % 2:
        pixels[:, 45:55], labels[:, 45:55] = (20, 30, 90), 5
    return pixels, labels


def example(seed):
    pixels, labels = pixels_and_labels(seed)
    return Example(pixels, f"e{seed}", label_map=labels)


def support(count=8):
    return Support([example(seed) for seed in range(count)], CLASSES)


@pytest.fixture(scope="module")
def task():
    return likewise.learn(support(), **SMALL).decide(0.3)


def test_the_scores_are_those_of_tasks_that_never_saw_the_example(task):
    expected = {name: {True: [], False: []} for name in CLASSES.values()}
    for seed in range(8):
        without = likewise.learn(Support([example(other) for other in range(8) if other != seed], CLASSES), **SMALL)
        pixels, labels = pixels_and_labels(seed)
        said = without.predict(pixels).present
        for number, name in CLASSES.items():
            expected[name][bool((labels == number).any())].append(said[name])
    for name, scores in task.memory.facts[PRESENCE_LEFT_OUT].items():
        assert scores["shown"] == pytest.approx(expected[name][True], abs=1e-5)
        assert scores["without"] == pytest.approx(expected[name][False], abs=1e-5)


def test_a_rule_is_the_score_of_its_rank_and_counts_the_others_from_it(task):
    for name, rule in task.rules.items():
        scores = task.memory.facts[PRESENCE_LEFT_OUT][name]
        assert rule.shown == len(scores["shown"])
        assert sum(score < rule.threshold for score in scores["shown"]) < rule.rank
        assert rule.rank / (rule.shown + 1) <= 0.3 < (rule.rank + 1) / (rule.shown + 1)
        assert rule.alarms == sum(score >= rule.threshold for score in scores["without"])
        assert rule.kept
        assert f"{100 * rule.rank / (rule.shown + 1):.1f} % on average" in rule.sentence()


def test_a_rule_from_scores_by_hand():
    scores = {"crack": {"shown": [0.9, 0.4, 0.7, 0.2, 0.6, 0.8, 0.5], "without": [0.1, 0.45, 0.4, 0.95]}}
    rules = rules_of({ASKED: 0.25, PRESENCE_LEFT_OUT: scores}, {1: "crack", 4: "dent"})
    assert rules["crack"] == Rule(max_miss=0.25, threshold=0.4, rank=2, shown=7, alarms=3, without=4)
    assert (rules["crack"].promised, rules["crack"].kept) == (0.25, True)
    assert rules["crack"].as_dict()["alarm_interval"] == pytest.approx([0.3006, 0.9544], abs=1e-4)  # Wilson's of 3 in 4
    assert rules["dent"] == Rule(max_miss=0.25, threshold=0.5, rank=0, shown=0, alarms=0, without=0)
    for present, looks in ((0.4, {"crack": True, "dent": False}), (0.399, {"crack": False, "dent": False})):
        plain = Prediction(ClassTable({1: "crack", 4: "dent"}), {}, np.zeros((2, 3), np.uint8), {"crack": present, "dent": 0.1}, {}, 1.0)
        assert decided(plain, rules).decided == looks
    assert rules_of({PRESENCE_LEFT_OUT: scores}, {1: "crack"}) == {}


def test_predictions_are_decided_by_their_probability_and_nothing_else_of_them_changes(task):
    plain = likewise.learn(support(), **SMALL)
    for seed in range(20, 26):
        pixels = pixels_and_labels(seed)[0]
        one, two = task.predict(pixels), plain.predict(pixels)
        assert one.decided == {name: one.present[name] >= rule.threshold for name, rule in task.rules.items()}
        assert two.decided == {}
        assert one.present == pytest.approx(two.present)
        assert np.array_equal(one.labels, two.labels)


def test_a_file_keeps_the_rule_also_where_it_is_compact_and_takes_another(task, tmp_path):
    task.save(tmp_path / "t.task", compact=True)
    again = likewise.load(tmp_path / "t.task", engine="torch")
    assert again.rules == task.rules
    assert again.describe()["decisions"]["disc"]["max_miss"] == 0.3
    assert again.fingerprint()["max_miss"] == "0.3"
    again.decide(0.5)
    assert {rule.max_miss for rule in again.rules.values()} == {0.5}
    assert again.digest != task.digest


def test_a_file_without_a_rule_learns_it_from_its_features_and_a_compact_one_says_what_it_lacks(task, tmp_path):
    plain = likewise.learn(support(), **SMALL)
    assert plain.rules == {}
    assert "decisions" not in plain.describe()
    plain.save(tmp_path / "whole.task")
    plain.save(tmp_path / "compact.task", compact=True)
    whole = likewise.load(tmp_path / "whole.task", engine="torch").decide(0.3)
    assert {name: rule.rank for name, rule in whole.rules.items()} == {name: rule.rank for name, rule in task.rules.items()}
    for name, rule in whole.rules.items():  # features are kept in half precision
        assert rule.threshold == pytest.approx(task.rules[name].threshold, abs=2e-3)
    with pytest.raises(InputError, match="neither what it says") as told:
        likewise.load(tmp_path / "compact.task", engine="torch").decide(0.3)
    assert "--max-miss" in told.value.remedy


def test_what_is_learned_again_decides_anew(tmp_path):
    grown = likewise.learn(support(6), **SMALL, max_miss=0.3)
    more = grown.update(Support([example(seed) for seed in (6, 7)], CLASSES))
    anew = likewise.learn(support(8), **SMALL, max_miss=0.3)
    assert more.rules == anew.rules
    assert more.forget(["e7", "e6"]).rules == likewise.learn(support(6), **SMALL, max_miss=0.3).rules


def test_analogy_keeps_what_it_finds_while_learning():
    learned = likewise.learn(support(), "analogy", backbone=BACKBONE, device="cpu", engine="torch", preset="fast", sides=[56])
    scores = learned.memory.facts[PRESENCE_LEFT_OUT]
    assert {name: len(own["shown"]) for name, own in scores.items()} == {"disc": 5, "bar": 4}
    assert {name: len(own["without"]) for name, own in scores.items()} == {"disc": 3, "bar": 4}
    assert learned.rules == {}
    assert learned.decide(0.3).memory.facts[PRESENCE_LEFT_OUT] == scores


def test_classes_of_whole_images_are_decided_by_their_probability():
    pixels = {seed: pixels_and_labels(seed)[0] for seed in range(10)}
    examples = [Example(each, f"w{seed}", label="disc" if seed % 3 else "bar") for seed, each in pixels.items()]
    place = {name: SMALL[name] for name in ("backbone", "device", "engine")}
    task = likewise.learn(Support(examples, CLASSES), "prototypical", **place, max_miss=0.25)
    assert {name: (rule.shown, rule.without) for name, rule in task.rules.items()} == {"disc": (6, 4), "bar": (4, 6)}
    for each in pixels.values():
        found = task.predict(each)
        assert found.decided == {name: found.probabilities[name] >= rule.threshold for name, rule in task.rules.items()}


def test_what_cannot_be_promised_is_said_once_and_the_lowest_example_is_the_threshold():
    with pytest.warns(UserWarning, match=r"1 % missed cannot be promised for disc, bar: it takes 99 examples") as told:
        task = likewise.learn(support(), **SMALL, max_miss=0.01)
    assert len(told) == 1
    for name, rule in task.rules.items():
        assert not rule.kept
        assert rule.threshold == min(task.memory.facts[PRESENCE_LEFT_OUT][name]["shown"])
        assert rule.promised == 1 / (rule.shown + 1)


def test_a_class_of_one_example_keeps_the_usual_threshold_which_promises_nothing():
    examples = [example(seed) for seed in (0, 2, 4, 5)]  # one bar, three discs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        task = likewise.learn(Support(examples, CLASSES), **SMALL, max_miss=0.3)
    rule = task.rules["bar"]
    assert (rule.threshold, rule.rank, rule.promised) == (0.5, 0, 1.0)
    assert "promises nothing" in rule.sentence()
    assert rule.as_dict()["at_worst"] is None


def test_of_a_large_support_parts_are_left_out(monkeypatch):
    monkeypatch.setattr("likewise.task.left_out.PARTS", 3)
    told = []
    task = likewise.learn(support(8), **SMALL)
    task.decide(0.3, progress=lambda *stage: told.append(stage))
    assert told == [("left out", 1, 3), ("left out", 2, 3), ("left out", 3, 3)]
    assert {name: rule.shown for name, rule in task.rules.items()} == {"disc": 5, "bar": 4}
    assert PARTS > 3


@pytest.mark.parametrize("wrong", ["120%", "-1", "abc", "0", "0%", "1", "100%", "nan", "", "1e-2", "5 percent"])
def test_what_is_no_share_is_refused(wrong):
    with pytest.raises(UsageError, match="share") as told:
        parse_share(wrong)
    assert told.value.where == "--max-miss"
    assert "1%" in told.value.remedy


@pytest.mark.parametrize("wrong", [0, 1, -0.1, float("nan"), True, "1%"])
def test_the_library_refuses_it_before_anything_is_learned(wrong):
    with pytest.raises(UsageError, match="share"):
        likewise.learn("nowhere at all", max_miss=wrong)


def test_a_method_or_task_without_presence_is_refused_before_it_is_learned(monkeypatch):
    dense = [Example(pixels_and_labels(seed)[0], f"d{seed}", dense={"grey": pixels_and_labels(seed)[0].mean(2)}) for seed in range(3)]
    with pytest.raises(InputError, match="no class to look for"):
        likewise.learn(Support(dense, targets={"grey": likewise.Target()}), **SMALL, max_miss=0.1)
    monkeypatch.setattr("likewise.methods.prototype.Prototype.gives", frozenset({OutputKind.MASKS}))
    with pytest.raises(InputError, match="how likely a class is there"):
        likewise.learn(support(), **SMALL, max_miss=0.1)
