"""The conformance suite: laws that every method keeps, whoever wrote it.

    from likewise.testing import conformance
    conformance.check("my-method")                    # all laws, AssertionError for the first that is broken
    @pytest.mark.parametrize("law", conformance.LAWS)  # or one test a law
    def test_laws(law): conformance.check_law("my-method", law)

Laws are about behaviour, not values: they run on small generated images and a small random backbone, in seconds.
A method that cannot keep a law declares it in `Method.exempt` with the reason.
"""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from likewise.data import Example, LabelKind, OutputKind, Prediction, Support, Target
from likewise.methods import method_class
from likewise.task import Task, learn, load

BACKBONE = "random:vit-tiny-14"
_AGREE = 0.995  # share of pixels that must agree where sums run in another order
_CLOSE = 1e-4


def check(method: str, **settings: Any) -> None:
    """Check every law. Raises AssertionError that names the law and what was found."""
    for law in LAWS:
        check_law(method, law, **settings)


def check_law(method: str, law: str, **settings: Any) -> str | None:
    """Check one law of `LAWS`; returns the reason if the method is exempt. Raises AssertionError, KeyError for an unknown law."""
    check_it, exemption = LAWS[law], method_class(method).exempt.get(law)
    if exemption is None:
        check_it(method, settings)
    return exemption


def picture(seed: int, height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """An image (H, W, 3) of coloured rectangles on noise and its label map (H, W): 1 reddish, 2 greenish."""
    random = np.random.default_rng(seed)
    pixels = random.integers(90, 130, (height, width, 3), dtype=np.uint8)
    labels = np.zeros((height, width), np.uint8)
    for number in (1, 2):
        top, left = random.integers(0, height // 2 + 1), random.integers(0, width // 2 + 1)
        rows, columns = slice(top, top + height // 3 + 1), slice(left, left + width // 3 + 1)
        labels[rows, columns] = number
        pixels[rows, columns] = random.integers(0, 60, 3, dtype=np.uint8)
        pixels[rows, columns, number - 1] = 230
    return pixels, labels


def support_of(method: str, *, order: tuple[int, ...] = (0, 1, 2), classes: Mapping[int, str] | None = None, swap: bool = False) -> Support:
    """Three examples of two classes, and a dense target if the method gives dense values; a vector a class for one that learns from these."""
    kind, examples = method_class(method), []
    if LabelKind.VECTOR in kind.takes:
        return _vectors_of(order, classes or {1: "red", 2: "green"}, swap=swap)
    sizes = ((90, 120), (120, 90), (75, 133))
    for index in order:
        pixels, labels = picture(index, *sizes[index])
        if swap:
            labels = np.array([0, 2, 1], np.uint8)[labels]
        dense = {"brightness": pixels.mean(axis=2)} if OutputKind.DENSE in kind.gives else {}
        if LabelKind.MASK in kind.takes:
            examples.append(Example(pixels, f"example-{index}", label_map=labels, dense=dense))
        else:
            label = 1 + index % 2
            examples.append(Example(pixels, f"example-{index}", label=3 - label if swap else label))
    targets = {"brightness": Target(unit="grey")} if OutputKind.DENSE in kind.gives else {}
    return Support(examples, classes=classes or {1: "red", 2: "green"}, targets=targets)


def _vectors_of(order: tuple[int, ...], classes: Mapping[int, str], *, swap: bool) -> Support:
    """The vectors of the classes that examples in this order would show."""
    known = {1: np.array([0.0, 1.0, 0.5], np.float32), 2: np.array([1.0, 0.0, 0.5], np.float32)}
    shown = dict.fromkeys(1 + index % 2 for index in order)
    return Support([], classes=classes, class_vectors={3 - number if swap else number: known[number] for number in shown})


def _learn(method: str, settings: Mapping[str, Any], support: Support | None = None) -> Task:
    chosen = support if support is not None else support_of(method)
    checkpoint = "random" if method_class(method).trained else None
    return learn(chosen, method=method, backbone=BACKBONE, checkpoint=checkpoint, device="cpu", preset="fast", engine="torch", **settings)


def _query(height: int = 101, width: int = 67) -> NDArray[np.uint8]:
    return picture(7, height, width)[0]


def _same_bytes(one: Task, two: Task) -> None:
    assert one.memory.tensors.keys() == two.memory.tensors.keys(), "the memories hold other tensors"
    for name, tensor in one.memory.tensors.items():
        assert torch.equal(tensor, two.memory.tensors[name]), f"memory tensor {name!r} differs"
    assert one.memory.facts == two.memory.facts, f"facts differ: {one.memory.facts} and {two.memory.facts}"


def _close(one: Prediction, two: Prediction, what: str) -> None:
    agree = float((one.labels == two.labels).mean())
    assert agree >= _AGREE, f"{what}: labels agree on {agree:.4f} of the pixels"
    for name, probability in one.present.items():
        assert abs(probability - two.present[name]) < 0.02, f"{what}: presence of {name!r} is {probability} and {two.present[name]}"
    for name, probability in one.probabilities.items():
        assert abs(probability - two.probabilities[name]) < 0.02, f"{what}: the probability of {name!r} is {probability} and {two.probabilities[name]}"
    for name, values in one.dense.items():
        scale = float(np.abs(values).mean()) + 1e-6
        assert float(np.abs(values - two.dense[name]).mean()) < 0.01 * scale, f"{what}: {name!r} differs"


def _learning_twice(method: str, settings: Mapping[str, Any]) -> None:
    _same_bytes(_learn(method, settings), _learn(method, settings))


def _predicting_twice(method: str, settings: Mapping[str, Any]) -> None:
    task, query = _learn(method, settings), _query()
    before = {name: tensor.clone() for name, tensor in task.memory.tensors.items()}
    one, two = task.predict(query), task.predict(query)
    assert np.array_equal(one.labels, two.labels), "the second prediction differs from the first"
    assert one.probabilities == two.probabilities, "the second prediction differs from the first"
    assert all(torch.equal(tensor, before[name]) for name, tensor in task.memory.tensors.items()), "predicting changed the memory"


def _inputs_unchanged(method: str, settings: Mapping[str, Any]) -> None:
    support, query = support_of(method), _query()
    digest, pixels = support.digest(), query.copy()
    images = [np.array(example.image) for example in support.examples]
    _learn(method, settings, support).predict(query)
    assert support.digest() == digest, "the support's labels changed"
    assert all(np.array_equal(np.asarray(example.image), image) for example, image in zip(support.examples, images, strict=True)), "an example's pixels changed"
    assert np.array_equal(query, pixels), "the query's pixels changed"


def _batch(method: str, settings: Mapping[str, Any]) -> None:
    task = _learn(method, settings)
    queries = [picture(seed, 101, 67)[0] for seed in (7, 8, 9)]
    together = task.predict_prepared([task.prepare(query) for query in queries])
    for query, answer in zip(queries, together, strict=True):
        _close(task.predict(query), answer, "a batch and its single images")


def _example_order(method: str, settings: Mapping[str, Any]) -> None:
    one, two = _learn(method, settings), _learn(method, settings, support_of(method, order=(2, 0, 1)))
    _close(one.predict(_query()), two.predict(_query()), "examples in another order")


def _class_order(method: str, settings: Mapping[str, Any]) -> None:
    one = _learn(method, settings).predict(_query())
    swapped = support_of(method, classes={1: "green", 2: "red"}, swap=True)
    two = _learn(method, settings, swapped).predict(_query())
    renamed = np.array([0, 2, 1], one.labels.dtype)[two.labels]
    agree = float((one.labels == renamed).mean())
    assert agree >= _AGREE, f"permuted classes: labels agree on {agree:.4f} of the pixels"
    for name, probability in one.present.items():
        assert abs(probability - two.present[name]) < 0.02, f"permuted classes: presence of {name!r} differs"


def _save_and_load(method: str, settings: Mapping[str, Any]) -> None:
    task = _learn(method, settings)
    with tempfile.TemporaryDirectory() as folder:
        task.save(Path(folder) / "a.task")
        task.save(Path(folder) / "b.task", compact=True)
        whole = load(Path(folder) / "a.task", device="cpu", engine="torch")
        compact = load(Path(folder) / "b.task", device="cpu", engine="torch")
    _same_bytes(task, whole)
    one = task.predict(_query())
    for other in (whole, compact):
        two = other.predict(_query())
        assert np.array_equal(one.labels, two.labels), "a saved and loaded task predicts something else"
        for what in ("probabilities", "present"):
            _same_numbers(getattr(one, what), getattr(two, what), what)
        _same_numbers({"": one.confidence}, {"": two.confidence}, "confidence")
    assert whole.digest == task.digest == compact.digest, "the digest changed"


def _same_numbers(one: Mapping[str, float], two: Mapping[str, float], what: str) -> None:
    """Numbers by name that are the same but for the last digits of float32: on some processors they hang on where in memory a tensor begins."""
    assert one.keys() == two.keys(), f"{what} changed from {one} to {two}"
    assert all(math.isclose(one[name], two[name], rel_tol=1e-6, abs_tol=1e-7) for name in one), f"{what} changed from {one} to {two}"


def _odd_sizes(method: str, settings: Mapping[str, Any]) -> None:
    task = _learn(method, settings)
    for height, width in ((1, 1), (31, 257), (97, 50)):
        answer = task.predict(_query(height, width))
        assert answer.labels.shape == (height, width), f"labels of a {height}x{width} image are {answer.labels.shape}"
        assert set(np.unique(answer.labels)) <= {0, 1, 2}, f"labels hold {np.unique(answer.labels)}"
        for values in answer.dense.values():
            assert values.shape == (height, width), f"dense values are {values.shape}"
            assert bool(np.isfinite(values).all()), "dense values are not finite"


def _probabilities(method: str, settings: Mapping[str, Any]) -> None:
    answer = _learn(method, settings).predict(_query())
    assert all(0 <= p <= 1 for p in answer.present.values()), f"presence is {answer.present}"
    assert 0 <= answer.confidence <= 1, f"confidence is {answer.confidence}"
    if OutputKind.CLASS in method_class(method).gives:
        assert set(answer.probabilities) == {"red", "green"}, f"the classes are {set(answer.probabilities)}"
        assert all(p >= 0 for p in answer.probabilities.values()), f"probabilities are {answer.probabilities}"
        assert sum(answer.probabilities.values()) < 1 + _CLOSE, f"probabilities sum to more than 1: {answer.probabilities}"
    if OutputKind.MASKS in method_class(method).gives:
        assert answer.scores.shape == (3, *answer.size), f"scores are {answer.scores.shape}"
        assert float(np.abs(answer.scores.sum(0) - 1).max()) < _CLOSE, "scores do not sum to 1"
        for name, probability in answer.present.items():
            assert probability >= 0.5 or not answer.mask(name).any(), f"{name!r} is said to be absent and has pixels"


def _empty_class(method: str, settings: Mapping[str, Any]) -> None:
    support = support_of(method, classes={1: "red", 2: "green", 5: "blue"})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        task = _learn(method, settings, support)
    assert any("blue" in str(warning.message) for warning in caught), "no warning names the class without an example"
    answer = task.predict(_query())
    assert answer.present["blue"] < 0.5, f"a class without an example is present with {answer.present['blue']}"
    assert not (answer.labels == 5).any(), "a class without an example has pixels"


def _update(method: str, settings: Mapping[str, Any]) -> None:
    grown = _learn(method, settings, support_of(method, order=(0, 1))).update(support_of(method, order=(2,)))
    _same_bytes(_learn(method, asdict(grown.method.settings)), grown)


def _forget(method: str, settings: Mapping[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of whole images it is the one example of a class, of which learning warns
        shrunk = _learn(method, settings).forget(["example-1"])
        anew = _learn(method, asdict(shrunk.method.settings), support_of(method, order=(0, 2)))
    _same_bytes(anew, shrunk)


def _settled(method: str, settings: Mapping[str, Any]) -> None:
    task = _learn(method, settings)
    again = task.method.settled(support_of(method, order=(1,))).settings
    assert again == task.method.settings, f"what one support settled, another changed: {task.method.settings} became {again}"


def _keypoints(method: str, settings: Mapping[str, Any]) -> None:
    kind = method_class(method)
    if not kind.takes & {LabelKind.DENSE, LabelKind.KEYPOINT}:
        return
    examples = []
    for index, size in enumerate(((90, 120), (120, 90), (75, 133))):
        pixels, labels = picture(index, *size)
        middle = np.argwhere(labels == 1).mean(0) + 0.5 if (labels == 1).any() else (1.0, 1.0)
        examples.append(Example(pixels, f"example-{index}", keypoints={"red": (middle[1], middle[0]), "green": None if index else (3.0, 4.0)}))
    task = _learn(method, settings, Support(examples))
    one = task.predict(_query())
    assert set(one.keypoints) == {"red", "green"}, f"the keypoints are {set(one.keypoints)}"
    for x, y, probability in one.keypoints.values():
        inside = 0 <= x <= 67 and 0 <= y <= 101
        assert inside, f"a keypoint lies at ({x}, {y}) of an image of 67x101"
        assert 0 <= probability <= 1, f"the probability of a keypoint is {probability}"
    assert not one.dense, f"keypoints left dense maps behind: {set(one.dense)}"
    with tempfile.TemporaryDirectory() as folder:
        task.save(Path(folder) / "a.task", compact=True)
        other = load(Path(folder) / "a.task", device="cpu", engine="torch")
    assert other.predict(_query()).keypoints == one.keypoints, "a saved and loaded task finds other keypoints"
    assert other.keypoints == task.keypoints, f"a saved and loaded task names {other.keypoints}"


def _counts(method: str, settings: Mapping[str, Any]) -> None:
    kind = method_class(method)
    if OutputKind.DENSE not in kind.gives:
        return
    examples = [Example(picture(index, 90, 120)[0], f"example-{index}", dense={"cells": np.full((90, 120), 7 / (90 * 120))}) for index in (0, 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the target is the same everywhere, on purpose
        task = _learn(method, settings, Support(examples, targets={"cells": Target(kind="density")}))
    for height, width in ((101, 67), (60, 240), (31, 20)):
        count = task.predict(_query(height, width)).count["cells"]
        assert abs(count - 7) < 0.1, f"of 7 everywhere {count} are counted in an image of {width}x{height}"


def _random_state(method: str, settings: Mapping[str, Any]) -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state(legacy=False)  # noqa: NPY002  (the global state is what is watched)
    _learn(method, settings).predict(_query())
    assert torch.equal(torch_state, torch.get_rng_state()), "torch's global random state was used"
    assert str(numpy_state) == str(np.random.get_state(legacy=False)), "numpy's global random state was used"  # noqa: NPY002


Law = Callable[[str, Mapping[str, Any]], None]

LAWS: dict[str, Law] = {
    "learning twice gives the same bytes": _learning_twice,
    "predicting twice gives the same and changes no memory": _predicting_twice,
    "inputs are unchanged": _inputs_unchanged,
    "a batch equals its single images": _batch,
    "the order of examples does not matter": _example_order,
    "permuted classes permute the answer": _class_order,
    "saving and loading change nothing": _save_and_load,
    "non-square and odd sizes work": _odd_sizes,
    "probabilities are probabilities": _probabilities,
    "a class without an example is absent": _empty_class,
    "update equals learning anew": _update,
    "forget equals learning without": _forget,
    "keypoints lie in the image and survive saving": _keypoints,
    "counts do not depend on the size of an image": _counts,
    "settings once settled stay": _settled,
    "the global random state is untouched": _random_state,
}
