"""What a prediction shows and gives."""

import numpy as np
import pytest

from likewise.data import ClassTable, Prediction, Target
from likewise.data.classes import palette
from likewise.data.prediction import draw_dense, draw_labels
from likewise.errors import UsageError

LABELS = np.zeros((30, 40), np.uint8)
LABELS[5:25, 8:30] = 2


def predicted(**more):
    return Prediction(ClassTable({2: "crack"}), {}, LABELS, {"crack": 0.9}, {}, 0.5, **more)


def test_a_mask_is_asked_for_by_name_or_number():
    prediction = predicted()
    assert np.array_equal(prediction.mask("crack"), LABELS == 2)
    assert np.array_equal(prediction.mask(2), prediction.mask("crack"))
    assert prediction.size == (30, 40)


def test_an_overlay_blends_the_inside_outlines_the_edge_and_leaves_the_rest():
    image = np.full((30, 40, 3), 200, np.uint8)
    overlay = np.asarray(predicted(image=image).overlay(opacity=0.5))
    colour = palette()[2].astype(int)
    assert (overlay[0, 0] == 200).all()
    assert overlay[5, 8].tolist() == colour.tolist()
    assert np.abs(overlay[15, 20] - (100 + colour / 2)).max() <= 1
    assert np.array_equal(image, np.full_like(image, 200))


def test_ignored_pixels_and_large_numbers_are_drawn():
    labels = np.where(LABELS == 2, 300, -1).astype(np.int16)
    drawn = draw_labels(np.zeros((30, 40, 3), np.uint8), labels)
    assert (drawn[0, 0] == 0).all()
    assert (drawn[15, 20] > 0).any()


@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 1), (30, 40, 3)])
def test_dense_values_alone_are_shown_as_colours(shape):
    values = np.random.default_rng(0).random(shape).astype(np.float32)
    values[0, 0] = np.nan
    nothing = Prediction(ClassTable({}), {"d": Target()}, np.zeros((30, 40), np.uint8), {}, {"d": values}, 1.0, image=np.zeros((30, 40, 3), np.uint8))
    shown = np.asarray(nothing.overlay())
    assert shown.shape == (30, 40, 3)
    assert shown.std() > 10
    assert (draw_dense(np.full((2, 3, 3), 7, np.uint8), np.full((2, 3), np.nan)) == 7).all()


def test_scores_are_made_once_when_asked_for():
    calls = []
    prediction = predicted(score_maker=lambda: calls.append(1) or np.ones((2, 30, 40), np.float32))
    assert prediction.scores.shape == prediction.scores.shape == (2, 30, 40)
    assert calls == [1]


@pytest.mark.parametrize(
    ("ask", "words"), [(lambda p: p.scores, "no scores"), (lambda p: p.overlay(), "its image"), (lambda p: p.save("x.png"), "not made by a task")]
)
def test_what_a_prediction_does_not_have_is_said(ask, words):
    with pytest.raises(UsageError, match=words):
        ask(predicted())


def test_saving_is_left_to_the_tasks_writer(tmp_path):
    written = predicted(writer=lambda prediction, path, format: [path.with_suffix(f".{format}")]).save(tmp_path / "a.png", "b")
    assert written == [tmp_path / "a.b"]
