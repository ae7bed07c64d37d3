"""Tables of the experiments with classic learners, from cells that are written by hand."""

import pytest

from likewise.episodes.classification.evaluation import ClassSetting


@pytest.fixture
def noted(bench, tmp_path, monkeypatch):
    """A function that writes a cell of an experiment, and one that gives the lines of its table."""
    experiments, cells, common = bench("experiments"), bench("class_cells"), bench("common")
    monkeypatch.setattr(experiments, "OUT", tmp_path)

    def write(experiment, row, column, *each):
        setting = ClassSetting(way=column.way, shot=column.shot).facts()
        note = cells.Note(sum(each) / len(each), 0.5, each, setting)
        common.write_json(row.place(experiment, column) / cells.FILE, vars(note))

    def table(module, rows):
        return module.EXPERIMENT.lines(experiments.Notes(module.EXPERIMENT.name, rows))

    return write, table


def run_of(folder, name, *, whole=True):
    (folder / name).mkdir(parents=True)
    for file in ("best.safetensors", *(["last.safetensors"] if whole else [])):
        (folder / name / file).write_bytes(b"")


def test_a_run_counts_when_it_is_at_its_end_and_the_first_folder_wins(bench, tmp_path):
    runs = bench("experiments").Runs([tmp_path / "one", tmp_path / "two"])
    run_of(tmp_path / "one", "a", whole=False)
    run_of(tmp_path / "two", "a")
    run_of(tmp_path / "one", "b")
    run_of(tmp_path / "two", "b")
    assert runs.find("a") == tmp_path / "two" / "a"
    assert runs.find("b") == tmp_path / "one" / "b"
    assert runs.find("c") is None


def test_trainings_of_different_sizes_see_as_many_pictures(bench):
    trainings = bench("experiment_trainings")
    for way in trainings.WAYS:
        for shot in trainings.SHOTS:
            seen = trainings.episodes_for(trainings.PICTURES, way, shot) * way * (shot + trainings.QUERIES)
            assert abs(seen - trainings.PICTURES) <= way * (shot + trainings.QUERIES) / 2


def test_every_training_is_a_recipe_that_can_be_read(bench, tmp_path):
    from likewise.training.recipe import read_recipe

    trainings = bench("experiment_trainings")
    names = [training.name for training in trainings.TRAININGS]
    assert len(set(names)) == len(names) == 26
    for training in trainings.TRAININGS:
        recipe = read_recipe(trainings.RECIPES / f"{training.recipe}.toml", training.changed(tmp_path))
        if recipe.classes is not None and training.name.startswith("pictures"):
            assert f"-{recipe.classes.way}-{recipe.classes.shot}" in training.name


def test_the_table_of_sizes_marks_the_best_and_the_matched(bench, noted, tmp_path):
    write, table = noted
    module, trained_row = bench("experiments_sizes"), bench("experiments").trained_row
    rows = [trained_row(f"pictures-prototypical-{way}-1", f"{way} way, 1 shot", tmp_path, module.COLUMNS) for way in (5, 20)]
    for row, values in zip(rows, ((80.0, 90.0, 60.0, 70.0), (82.0, 89.0, 63.0, 75.0)), strict=True):
        for column, value in zip(module.COLUMNS, values, strict=True):
            write("sizes", row, column, value, value)
    lines = table(module, rows)
    assert lines[-3] == "| 5 way, 1 shot | 80.0 ± 0.5 * | **90.0 ± 0.5** | 60.0 ± 0.5 | 70.0 ± 0.5 |"
    assert lines[-2] == "| 20 way, 1 shot | **82.0 ± 0.5** | 89.0 ± 0.5 | **63.0 ± 0.5** * | **75.0 ± 0.5** |"


def test_the_spread_of_an_encoder_is_its_best_less_its_worst_and_says_what_is_missing(bench, noted, tmp_path):
    write, table = noted
    module, trained_row = bench("experiments_encoders"), bench("experiments").trained_row
    rows = [trained_row(module.run_name(learner, "conv4"), learner, tmp_path, module.COLUMNS) for learner in module.METHODS]
    for row, value in zip(rows, (40.0, 47.5, 44.0, 41.0), strict=True):
        write("encoders", row, module.COLUMNS[0], value, value)
    deep = trained_row("baseline-conv6-caltech", "baseline", tmp_path, module.COLUMNS)
    write("encoders", deep, module.COLUMNS[0], 50.0, 50.0)
    lines = table(module, [*rows, deep])
    assert "| conv4 | 40.0 ± 0.5 | 47.5 ± 0.5 | 44.0 ± 0.5 | 41.0 ± 0.5 | 7.5 |" in lines
    assert "| conv6 | 50.0 ± 0.5 |  |  |  | 0.0 of 1 |" in lines


def test_the_lead_of_baselines_is_over_the_best_of_the_others(bench, noted, tmp_path):
    write, table = noted
    module, trained_row = bench("experiments_shift"), bench("experiments").trained_row
    columns = module.ORIGINS[0].columns()
    rows = [trained_row(f"{name}-omniglot", name, tmp_path, columns) for name in ("baseline", "baseline-plus", "prototypical", "relation")]
    for row, value in zip(rows, (61.0, 66.0, 70.0, 64.0), strict=True):
        for column in columns[:3]:
            write("shift", row, column, value + (10 if row.name == "baseline-omniglot" and column is columns[2] else 0))
    lines = table(module, rows)
    assert lines[-2] == "| better baseline less best of the others | -4.0 | -4.0 | +1.0 |  |"


def test_the_table_of_hallucination_pairs_episodes(bench, noted, tmp_path):
    write, table = noted
    module, experiments = bench("experiments_hallucination"), bench("experiments")
    columns = module.columns_of("omniglot")
    rows = [experiments.trained_row(f"dagan-pixels-{word}", "pixels", tmp_path, columns) for word in ("without", "with")]
    write("hallucination", rows[0], columns[0], 30.0, 50.0, 40.0)
    write("hallucination", rows[1], columns[0], 32.0, 52.0, 42.0)
    lines = table(module, rows)
    assert lines[-1] == "| characters: DAGAN, nearest by cosine of pixels | 40.0, 42.0 | +2.0 ± 0.0 |  |  |  |  |"
    assert lines[1].count("---") == lines[0].count("|") - 1 == lines[-1].count("|") - 1


def test_the_table_of_adaptation_has_a_line_a_start_and_a_column_a_number_of_steps(bench, noted, tmp_path):
    write, table = noted
    module, trained_row = bench("experiments_adaptation"), bench("experiments").trained_row
    columns = module.LOOPS[0].columns()
    row = trained_row("omniglot-random", "random start", tmp_path, columns)
    for column in columns[:5]:
        write("adaptation", row, column, float(column.title), float(column.title))
    lines = table(module, [row])
    assert lines[-2] == "| random start | 0.0 ± 0.5 | 1.0 ± 0.5 | 5.0 ± 0.5 | 20.0 ± 0.5 | 100.0 ± 0.5 |"
