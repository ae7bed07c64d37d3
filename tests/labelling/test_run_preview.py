"""A look ahead writes nothing and says what to expect; progress says how far a run is."""

import io
import re

import pytest
from small_runs import write_images

from likewise.errors import InputError, UsageError
from likewise.formats import list_images
from likewise.labelling import Silent, look_ahead
from likewise.labelling.options import overhead
from likewise.labelling.preview import score_warnings
from likewise.labelling.progress import Bar, Log, duration
from likewise.labelling.source import Source


def test_it_labels_the_first_five_and_estimates_all(task, images):
    listed = list_images(images)
    preview = look_ahead(task, listed, 4)
    assert list(preview.looked) == list(listed.names[:5])
    for name, found in preview.looked.items():
        assert found["confidence"] == pytest.approx(task.predict(images / name).confidence, abs=1e-3)
    assert preview.seconds_for_all == pytest.approx(preview.seconds_an_image * len(listed))
    assert preview.seconds_an_image > 0
    assert preview.as_dict()["images"] == len(listed)


def test_it_names_images_that_cannot_be_read_and_goes_on(task, tmp_path):
    folder = write_images(tmp_path, 3)
    (folder / "broken.png").write_bytes(b"")
    looked = look_ahead(task, list_images(folder), 4).looked
    assert [name for name, found in looked.items() if "error" in found] == ["broken.png"]
    assert len(looked) == 4


def test_it_refuses_a_list_of_which_nothing_can_be_read(task, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"none of the first 1"):
        look_ahead(task, list_images(tmp_path), 4)


@pytest.mark.parametrize(
    ("score", "words"),
    [
        ({"iou": 0.9, "by": "images", "images": 3}, None),
        ({"iou": 0.3, "by": "images", "images": 3}, "Likely to fail.*crack 0.30"),
        ({"iou": None, "by": "images", "images": 1}, "do not say"),
        ({"iou": 0.9, "by": "blocks", "images": 1}, "one example only"),
        ({"error": 0.1, "link": "log"}, None),
        ({"error": 0.8, "link": "log"}, "Likely to fail.*crack 80%"),
    ],
)
def test_it_warns_plainly_where_it_is_likely_to_fail(score, words):
    warnings = score_warnings({"crack": score})
    assert len(warnings) == (words is not None)
    assert words is None or re.search(words, warnings[0])


def test_many_classes_share_one_warning():
    warnings = score_warnings({f"class {n}": {"iou": 0.1, "by": "images", "images": 2} for n in range(40)})
    assert len(warnings) == 1
    assert "class 11 0.10 and 28 more" in warnings[0]


def test_a_task_file_refuses_options_that_only_learning_knows(task, tmp_path):
    task.save(tmp_path / "small.task")
    opened, sentence = Source(path=tmp_path / "small.task", engine="torch", precision="float32").open()
    assert opened.classes == task.classes
    assert "3 examples" in sentence
    with pytest.raises(UsageError, match=r"--method nearest cannot change it"):
        Source(path=tmp_path / "small.task", method="nearest").open()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (12.3, "12 s"), (59.4, "59 s"), (59.7, "1 min 0 s"), (3599, "59 min 59 s"), (3600, "1 h 0 min"), (200_000, "55 h 33 min")],
)
def test_durations_are_said_as_people_say_them(seconds, words):
    assert duration(seconds) == words


def test_a_log_says_a_line_only_now_and_then():
    stream = io.StringIO()
    eager, calm = Log(stream, every=0), Log(stream, every=60)
    for progress in (eager, calm):
        progress.begin(2000, 500)
        progress.advance(250)
        progress.end()
    assert re.fullmatch(r"labelled 750 of 2,000, [\d.]+ a second, .* left\n", stream.getvalue())


def test_a_bar_shows_rate_and_counts_on_stderr_and_the_silent_one_nothing(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    for progress in (Bar(), Silent()):
        progress.begin(20, 5)
        progress.advance(3)
        progress.end()
    said = capsys.readouterr()
    assert said.out == ""
    assert "8/20" in said.err
    assert "a second" in said.err


def test_overhead_is_everything_else_over_the_backbone():
    assert overhead({"backbone": 2.0, "decode": 0.3, "write": 0.1}) == pytest.approx(0.2)
    assert overhead({"decode": 0.3}) is None
