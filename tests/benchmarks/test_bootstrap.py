"""Paired differences of mIoU: the arithmetic of score.py, and intervals that mean what they say."""

import numpy as np
import pytest


def counts(seed, images, classes=(1, 3), good=0.6, noise=0.05, hardness=None):
    """Counts of a draw in which image i has an IoU near `good` less its hardness."""
    rng = np.random.default_rng(seed)
    found = {}
    for index, name in enumerate(images):
        hard = hardness[index] if hardness is not None else 0.0
        found[name] = {str(c): [int(1000 * np.clip(good - hard + rng.normal(0, noise), 0, 1)), 1000] for c in classes}
    return found


def plain_miou(draw):
    """As score.py computes it, in plain loops."""
    both, either = {}, {}
    for classes in draw.values():
        for number, (b, e) in classes.items():
            both[number], either[number] = both.get(number, 0) + b, either.get(number, 0) + e
    return 100 * sum(both[n] / either[n] for n in both if either[n]) / sum(1 for n in either if either[n])


def test_unweighted_it_is_the_mean_over_draws_of_what_score_py_computes(bench):
    draws = [{"a": {"1": [3, 10]}, "b": {"1": [0, 4], "2": [5, 5]}, "d": {}}, {"b": {"2": [1, 8]}, "c": {"1": [2, 3]}}]
    found = bench("bootstrap").mean_iou(draws, ["a", "b", "c", "d"], np.ones((1, 4)))
    assert found == pytest.approx([np.mean([plain_miou(draw) for draw in draws])])


def test_an_image_drawn_twice_counts_as_if_it_were_there_twice(bench):
    draw = {"a": {"1": [3, 10]}, "b": {"1": [1, 4], "2": [5, 6]}, "c": {"2": [1, 9]}}
    doubled = {**draw, "b2": draw["b"]}
    del doubled["c"]
    assert bench("bootstrap").mean_iou([draw], ["a", "b", "c"], np.array([[1.0, 2.0, 0.0]])) == pytest.approx([plain_miou(doubled)])


def test_a_method_does_not_differ_from_itself(bench):
    draw = counts(0, [f"q{i}" for i in range(9)], hardness=np.linspace(0, 0.5, 9))
    found = bench("bootstrap").interval(bench("bootstrap").differences([draw, draw], [draw, draw]))
    assert (found.value, found.low, found.high) == (0, 0, 0)
    assert not found.above
    assert not found.below


def test_a_steady_gain_is_told_though_images_differ_much_more(bench):
    names, hard = [f"q{i}" for i in range(24)], np.linspace(0, 0.5, 24)
    ours, theirs = counts(1, names, good=0.65, noise=0.02, hardness=hard), counts(2, names, good=0.6, noise=0.02, hardness=hard)
    found = bench("bootstrap").interval(bench("bootstrap").differences([ours], [theirs]))
    assert found.above
    assert found.value == pytest.approx(plain_miou(ours) - plain_miou(theirs))
    assert bench("bootstrap").interval(bench("bootstrap").differences([theirs], [ours])).below


def test_a_gain_on_one_image_of_many_is_not_called_better(bench):
    names = [f"q{i}" for i in range(20)]
    theirs = counts(3, names)
    ours = {**theirs, "q0": {"1": [1000, 1000], "3": [1000, 1000]}}
    found = bench("bootstrap").interval(bench("bootstrap").differences([ours], [theirs]))
    assert found.value > 0
    assert not found.above


def test_more_draws_of_the_same_images_are_not_taken_for_more_images(bench):
    names = [f"q{i}" for i in range(12)]
    ours, theirs = counts(4, names, noise=0.2), counts(5, names, noise=0.2)
    one = bench("bootstrap").interval(bench("bootstrap").differences([ours], [theirs]))
    five = bench("bootstrap").interval(bench("bootstrap").differences([ours] * 5, [theirs] * 5))
    assert (five.low, five.high) == pytest.approx((one.low, one.high))


def test_rows_with_other_queries_are_refused(bench):
    with pytest.raises(ValueError, match="same queries"):
        bench("bootstrap").differences([counts(0, ["a", "b"])], [counts(0, ["a", "c"])])


def test_the_same_seed_gives_the_same_resamples_and_each_has_all_its_images(bench):
    one, two, other = (bench("bootstrap").weights(7, 30, seed) for seed in (3, 3, 4))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    assert (one.sum(1) == 7).all()
    assert (one[0] == 1).all()


def test_observations_of_one_image_are_drawn_together(bench):
    image = np.repeat(np.arange(6), [1, 5, 2, 4, 3, 2])
    seen = []
    bench("bootstrap").resampled(lambda weight: seen.append(weight) or float(weight.sum()), image, resamples=20)
    assert all(len(set(weight[image == i])) == 1 for weight in seen for i in range(6))
    assert len(seen) == 21
