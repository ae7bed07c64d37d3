import json

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
