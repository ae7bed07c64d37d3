"""A task fitted to unlabelled images: what changes, what stays, and what is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

import likewise
from likewise.errors import InputError, UsageError
from likewise.formats import ImageList, list_images
from likewise.functional.adaptation import shift_to
from likewise.task import adapting
from likewise.testing.conformance import BACKBONE, picture, support_of

SMALL = {"backbone": BACKBONE, "device": "cpu", "engine": "torch", "preset": "fast", "sides": (112,)}


@pytest.fixture(scope="module")
def task():
    return likewise.learn(support_of("analogy"), **SMALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("unlabelled")
    for number in range(7):
        Image.fromarray((0.6 * picture(number, 57, 83)[0]).astype(np.uint8)).save(found / f"{number}.png")
    return found


@pytest.fixture
def query():
    return picture(11, 57, 83)[0]


def log_odds(task, images):
    return torch.logit(torch.tensor([[one.present[name] for name in task.classes.names.values()] for one in task.predict(images)]).double())


def test_a_prior_moves_the_presence_of_a_class_by_the_same_log_odds_on_every_image(task, folder):
    adapted, images = task.adapt(folder, "prior"), [picture(number, 57, 83)[0] for number in (11, 12, 13)]
    moved = log_odds(adapted, images) - log_odds(task, images)
    assert moved.abs().min() > 1e-3
    torch.testing.assert_close(moved, moved[:1].expand(3, -1), atol=1e-3, rtol=1e-3)


def test_features_are_shifted_by_what_brings_all_images_to_the_examples(task, folder):
    adapted = task.adapt(folder, "features")
    (spec,) = task.method.wants(task.memory)
    shift = adapted.memory.tensors["adapted/tokens 0"]
    items = task.ready().extract([task.prepare(folder / "3.png")], spec)
    after = adapting.moved({spec: items}, adapted.memory)[spec][0].tokens
    torch.testing.assert_close(after.float(), items[0].tokens.float() + shift[:, None], atol=2e-3, rtol=2e-3)
    assert adapting.moved({spec: items}, task.memory)[spec] is items
    known = [item.tokens for each in task.kept for key, item in each.items() if key.side == 112 and not key.copy]
    seen = [task.ready().extract([task.prepare(path)], spec)[0].tokens for path in sorted(folder.iterdir())]
    torch.testing.assert_close(shift, shift_to(known, seen), atol=1e-4, rtol=1e-3)  # of so few tokens all are drawn
    assert float(shift.norm()) > 0.1


@pytest.mark.parametrize("by", ["prior", "features", "both"])
def test_the_adapted_task_is_another_one_and_the_first_answers_as_before(task, folder, query, by):
    before, digest = task.predict(query), task.digest
    adapted = task.adapt(folder, by)
    after = task.predict(query)
    assert np.array_equal(before.scores, after.scores)
    assert before.present == after.present
    assert task.digest == digest != adapted.digest
    assert adapted.fingerprint()["adapted"].startswith(f"{by}, 7 images ")
    assert "adapted" not in task.fingerprint()
    other = adapted.predict(query)
    assert other.present != before.present or not np.array_equal(other.scores, before.scores)


def test_the_same_images_in_any_order_give_the_same_task(task, folder):
    listed = list_images(folder)
    backwards = ImageList(list(reversed(listed.names)), listed.root, listed.sentence)
    assert task.adapt(listed).digest == task.adapt(backwards).digest


def test_an_adapted_task_is_kept_in_its_file_and_says_how(task, folder, query, tmp_path):
    adapted = task.adapt(folder)
    loaded = likewise.load(adapted.save(tmp_path / "adapted.task"), engine="torch")
    assert loaded.digest == adapted.digest
    assert np.array_equal(loaded.predict(query).scores, adapted.predict(query).scores)
    assert loaded.memory.facts["adapted"]["by"] == "both"


def test_to_learn_again_drops_what_was_adapted(task, folder, tmp_path):
    adapted = likewise.load(task.adapt(folder).save(tmp_path / "adapted.task"), engine="torch")
    (name, *_) = [example.name for example in adapted.support.examples]
    adapted.forget([name])
    assert "adapted" not in adapted.memory.facts
    assert "adapted/tokens 0" not in adapted.memory.tensors


def test_images_that_cannot_be_read_are_passed_over(task, folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "broken.png").write_bytes(b"nothing")
    adapted = task.adapt(tmp_path)
    assert adapted.memory.facts["adapted"]["images"] == 7
    assert adapted.digest == task.adapt(folder).digest
    only = ImageList(["broken.png"], tmp_path, "one image")
    with pytest.raises(InputError, match="none of the images"):
        task.adapt(only)


def test_only_so_many_images_are_looked_at(task, folder, monkeypatch):
    monkeypatch.setattr(adapting, "MOST", 3)
    assert task.adapt(folder, "prior").memory.facts["adapted"]["images"] == 3


def test_what_cannot_be_adapted_is_refused_in_words(task, folder, tmp_path):
    with pytest.raises(UsageError, match=r"'priors'.*did you mean 'prior'"):
        task.adapt(folder, "priors")
    with pytest.raises(InputError, match="adapted already"):
        task.adapt(folder, "prior").adapt(folder, "features")
    compact = likewise.load(task.save(tmp_path / "compact.task", compact=True), engine="torch")
    with pytest.raises(InputError, match="compact"):
        compact.adapt(folder)
    assert compact.adapt(folder, "prior").digest != compact.digest
    ridge = likewise.learn(support_of("ridge"), method="ridge", backbone=BACKBONE, device="cpu", engine="torch", side=112)
    with pytest.raises(UsageError, match="'ridge' has no curve of presence"):
        ridge.adapt(folder, "prior")
    assert ridge.adapt(folder, "features").digest != ridge.digest


def test_a_threshold_by_left_out_examples_and_an_adapted_task_refuse_each_other(task, folder, tmp_path):
    with pytest.raises(UsageError, match="left-out examples were not"):
        task.adapt(folder, "prior").decide(0.2)
    decided = likewise.load(task.save(tmp_path / "plain.task"))
    with pytest.warns(UserWarning, match="promise"):
        decided.decide(0.2)
    with pytest.raises(UsageError, match="what may be missed"):
        decided.adapt(folder, "features")
