import json

from likewise.methods.base import Memory
from likewise.task import load
from likewise.weights import entries


def test_a_task_shows_classes_examples_method_weights_and_left_out_scores(run, learned):
    code, out, _ = run("inspect", learned)
    assert code == 0
    for words in ("method: analogy", "random:vit-tiny-14, sha256 ", "class 1: square", "examples: 3", "photo-1  71x49  mask", "left out, square"):
        assert words in out
    assert not any(name in out for name in entries())


def test_examples_show_their_format_classes_and_what_each_holds(run, examples):
    code, out, err = run("inspect", examples)
    assert code == 0
    assert "index-png" in err
    assert "class 1: square  in 3 examples" in out
    assert "photo-2  71x50  mask  square" in out


def test_what_a_method_chose_by_itself_is_shown(run, learned, tmp_path):
    task = load(learned)
    facts = {
        "choice": [{"readout": "tokens 448", "left_out": 0.71249, "weight": 0.625}, {"readout": "conv", "left_out": None, "weight": 0.375}],
        "settled": {"sides": [448, 896], "because": "squares of 24 pixels would be 2 patches wide"},
        "calibration": {"square": "prior"},
    }
    task.memory = Memory(task.memory.tensors, {**task.memory.facts, **facts})
    task.save(tmp_path / "chosen.task")
    _, out, _ = run("inspect", tmp_path / "chosen.task")
    for line in (
        "working sizes: 448, 896: squares of 24 pixels would be 2 patches wide",
        "read-out tokens 448: 62 % of the answer, left-out score 0.712",
        "read-out conv: 38 % of the answer, left-out score unknown",
        "presence by a usual curve, for want of a better: square",
    ):
        assert line in out.splitlines()
    said = json.loads(run("inspect", tmp_path / "chosen.task", "--json")[1])["facts"]
    assert {name: said[name] for name in facts} == facts


def test_examples_of_which_a_part_is_unknown_say_so(run, examples):
    assert "unknown" not in run("inspect", examples)[1]
    (examples / "dataset.json").write_text('{"unlabelled": "unknown"}')
    assert "square  (unlabelled pixels are unknown)" in run("inspect", examples)[1]
    assert json.loads(run("inspect", examples, "--json")[1])["examples"][2]["unlabelled"] == "unknown"


def test_a_task_is_json_where_it_is_asked_for(run, learned):
    facts = json.loads(run("inspect", learned, "--json")[1])
    assert facts["weights"]["backbone"]["name"] == "random:vit-tiny-14"
    assert [example["name"] for example in facts["examples"]] == ["photo-0", "photo-1", "photo-2"]


def test_examples_are_json_where_it_is_asked_for(run, examples):
    facts = json.loads(run("inspect", examples, "--json")[1])
    assert facts["shown_by"] == {"square": 3}
    assert facts["examples"][0]["size"] == [48, 71]


def test_a_truncated_task_is_bad_input(run, learned):
    learned.write_bytes(learned.read_bytes()[:-100])
    code, _, err = run("inspect", learned)
    assert code == 4
    assert "truncated" in err


def test_a_path_that_is_not_there_is_bad_input(run, tmp_path):
    assert run("inspect", tmp_path / "nothing")[0] == 4
    assert run("inspect", tmp_path / "nothing.task")[0] == 4
