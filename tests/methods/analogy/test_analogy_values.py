"""Dense targets: what two regressions can follow, what leaving out chooses, the level of logarithms, and what is kept."""

import dataclasses

import numpy as np
import pytest
import torch

from likewise.functional.links import decode
from likewise.methods.analogy import kernel, values
from likewise.methods.analogy.folds import patch_folds
from likewise.methods.analogy.values import ValueFit, fit_values
from likewise.methods.dense import ValueRows

GRID = (9, 13)
PARTS = ("example", "patch", "tokens", "values", "weight")


def unit(seed, count, width=6):
    return torch.nn.functional.normalize(torch.randn(count, width, generator=torch.Generator().manual_seed(seed)), dim=1)


def rows_of(function, images=3, kind="real", seed=0):
    """Rows of images whose values are a function of their tokens, and the fold of each patch: whole images, or blocks of one."""
    count = GRID[0] * GRID[1]
    tokens = torch.cat([unit(seed + image, count) for image in range(images)])
    folds = [patch_folds(GRID, image if images > 1 else None) for image in range(images)]
    example, patch = torch.arange(images).repeat_interleave(count), torch.arange(count).repeat(images)
    return ValueRows(example, patch, tokens, function(tokens), torch.linspace(0.5, 1, len(tokens)), kind), folds


def relative(found, truth):
    return float((found - truth).abs().mean() / (truth - truth.mean(0)).abs().mean())


def steady(tokens):
    return tokens[:, :2] - 0.5 * tokens[:, 2:4]


def bent(tokens):
    return torch.cos(4 * tokens[:, :1])


@pytest.mark.parametrize(("function", "share", "below"), [(steady, 1.0, 0.02), (bent, 0.0, 0.35)])
def test_the_regression_that_can_follow_the_values_answers_alone(function, share, below):
    readout = fit_values(*rows_of(function))
    tokens = unit(77, 50)
    assert float(readout.fit.share) == share
    assert relative(readout.fit.answers(tokens)[0], function(tokens)) < below


@pytest.mark.parametrize("function", [steady, bent])
def test_blocks_of_one_image_choose_nothing(function):
    readout = fit_values(*rows_of(function, images=1))
    assert float(readout.fit.share) == 0.5
    assert readout.strengths == {name: [found[0]] for name, found in values.STRENGTHS.items()}


def test_an_answer_is_the_shared_mean_of_both_regressions():
    fit = ValueFit(torch.randn(7, 2), torch.randn(6, 2), unit(3, 5).half(), torch.tensor(0.25))
    tokens, marks = unit(4, 11), fit.landmarks.float()
    square = ((tokens[:, None] - marks) ** 2).sum(2)
    by_kernel = torch.exp(-square / (0.7 * (marks**2).sum(1).mean())) @ fit.kernel[:-1] + fit.kernel[-1]
    by_line = tokens @ fit.linear[:-1] + fit.linear[-1]
    assert torch.allclose(fit.answers(tokens)[0], 0.25 * by_line + 0.75 * by_kernel, atol=1e-4)


def test_an_image_unlike_the_support_is_stranger_than_left_out_images_were():
    rows, folds = rows_of(bent)
    readout = fit_values(rows, folds)
    assert readout.fit.answers(rows.tokens)[1] < readout.strange < readout.fit.answers(3 * unit(80, 30))[1]


def test_a_whitened_likeness_has_the_kernel_as_its_inner_products():
    marks = unit(5, 40).half()
    features = kernel.likeness(marks.float(), marks) @ kernel.whitening(marks)
    assert torch.allclose(features @ features.T, kernel.likeness(marks.float(), marks), atol=5e-3)


def test_no_more_landmarks_are_kept_than_asked_for(monkeypatch):
    monkeypatch.setattr(kernel, "LANDMARKS", 17)
    readout = fit_values(*rows_of(bent))
    assert readout.fit.landmarks.shape == (17, 6)
    assert readout.fit.landmarks.dtype == torch.float16


def test_the_level_of_logarithms_makes_the_relative_error_least():
    rows, _ = rows_of(lambda tokens: torch.exp(tokens[:, :1]))
    predicted = rows.values.log() + 0.6 * torch.randn(rows.values.shape, generator=torch.Generator().manual_seed(1))

    def error(level):
        return float((rows.weight[:, None] * ((predicted + level).exp() / rows.values - 1).abs()).sum())

    level = values._level(predicted, rows)
    assert level < -0.1
    assert error(level) <= min(error(other) for other in np.linspace(-1, 1, 201)) + 1e-3


def test_positive_values_are_fitted_under_a_logarithm_unless_that_does_worse():
    assert fit_values(*rows_of(lambda tokens: torch.exp(3 * tokens[:, :1]))).link == "log"
    assert fit_values(*rows_of(lambda tokens: 1.02 + tokens[:, :1])).link == "identity"


@pytest.mark.parametrize(("kind", "make"), [("unit_vector", lambda tokens: tokens[:, :3] / tokens[:, :3].norm(dim=1, keepdim=True)), ("heatmap", bent)])
def test_other_kinds_keep_their_own_link(kind, make):
    readout = fit_values(*rows_of(make, kind=kind))
    tokens = unit(78, 60)
    found = decode(readout.fit.answers(tokens)[0], readout.link)
    assert readout.link == {"unit_vector": "unit", "heatmap": "identity"}[kind]
    assert relative(found, make(tokens)) < 0.6


def test_what_is_kept_gives_the_same_answers():
    fit = fit_values(*rows_of(bent)).fit
    tokens = unit(79, 21)
    assert torch.equal(ValueFit.of(fit.tensors()).answers(tokens)[0], fit.answers(tokens)[0])


def test_counts_of_whole_images_are_brought_to_the_level_with_the_least_error():
    rows, _ = rows_of(lambda tokens: tokens[:, :1].abs(), images=5, kind="density")
    heavy = rows.example == 3
    crowded = dataclasses.replace(rows, values=torch.where(heavy[:, None], 40 * rows.values, rows.values))
    said = torch.where(heavy[:, None], crowded.values / 4, 3 * crowded.values)
    factor = values._factor(said, crowded)

    def off(level):
        sums = [((level * said - crowded.values)[rows.example == k] * rows.weight[rows.example == k, None]).sum().abs() for k in range(5)]
        return float(torch.stack(sums).sum())

    assert all(off(factor) <= off(other) + 1e-4 for other in np.linspace(0.2, 5, 60))
    assert values._factor(said[rows.example < 2], dataclasses.replace(rows, **{name: getattr(rows, name)[rows.example < 2] for name in PARTS})) == 1.0


@pytest.mark.parametrize("kind", ["angle", "unit_vector"])
def test_errors_of_directions_are_angles_the_shorter_way(kind):
    turn = torch.tensor([[3.1], [-3.1], [0.0], [1.0]])
    truth = turn if kind == "angle" else torch.cat([turn.cos(), turn.sin()], 1)
    said = turn + 0.2 if kind == "angle" else torch.cat([(turn + 0.2).cos(), (turn + 0.2).sin()], 1)
    rows = ValueRows(torch.arange(4), torch.arange(4), unit(0, 4), truth, torch.ones(4), kind)
    centre = np.angle(np.exp(1j * turn.numpy()).mean())
    deviation = np.abs(np.angle(np.exp(1j * (turn.numpy() - centre)))).mean()
    assert values._error(said, rows) == pytest.approx(0.2 / deviation, rel=1e-3)
