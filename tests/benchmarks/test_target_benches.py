"""The benches of targets: what is asked for, how rows become cells, where tables go."""

import numpy as np
import pytest

from likewise import Example, Prediction, Support, Target
from likewise.data import ClassTable


def test_a_method_may_stand_there_with_settings(bench):
    variant = bench("targets").Variant("vtm:tune=true,tune_seconds=60,matching=global", "a.safetensors")
    assert (variant.method, variant.settings) == ("vtm", {"tune": True, "tune_seconds": 60, "matching": "global"})
    assert (bench("targets").Variant("ridge").method, bench("targets").Variant("ridge").settings) == ("ridge", {})


def test_another_checkpoint_makes_other_rows_of_a_trained_method_alone(bench, tmp_path):
    targets, codes = bench("targets"), {}
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        codes[name] = [targets.Variant(method, str(tmp_path / name)).code() for method in ("vtm", "ridge")]
    assert codes["one"][0] != codes["two"][0]
    assert codes["one"][1] == codes["two"][1]


def test_cells_have_the_mean_and_the_spread_over_draws(bench):
    spread = bench("targets").spread
    assert [spread([]), spread([0.12345]), spread([1.0, 2.0, 6.0])] == ["-", "0.123", "3 ± 2.6"]


def test_a_table_goes_between_its_marks_and_nowhere_else(bench, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- one -->\nold\n<!-- end -->\nb\n<!-- two -->\nkept\n<!-- end -->\n")
    for _ in range(2):
        bench("marks").between_marks(page, "one", ["x", "y"])
    assert page.read_text() == "a\n<!-- one -->\nx\ny\n<!-- end -->\nb\n<!-- two -->\nkept\n<!-- end -->\n"
    with pytest.raises(ValueError, match="three"):
        bench("marks").between_marks(page, "three", [])


def test_centres_of_instances_are_in_pixels_that_begin_at_their_number(bench):
    numbers = np.zeros((4, 7), int)
    numbers[1:3, 2:6] = 5
    assert bench("target_families").centres(numbers) == [(4.0, 2.0)]


def test_beside_classes_the_examples_alone_say_that_there_are_none(bench):
    pixels, labels = np.zeros((4, 6, 3), np.uint8), np.ones((4, 6), np.uint8)
    classes = Support([Example(pixels, "a", label_map=labels)], classes={1: "x"})
    values = Support([Example(pixels, "a", dense={"depth": np.full((4, 6), 3.0)})], targets={"depth": Target(unit="m")})
    answer = Prediction(ClassTable({1: "x"}), values.targets, labels, {}, {}, 0.5)
    mean = bench("targets").support_mean
    assert not mean(classes, answer).labels.any()
    assert float(mean(values, answer).dense["depth"].mean()) == 3


def test_marked_patches_are_the_most_the_half_and_the_least_nearest_to_the_middle(bench):
    import torch

    pooling = bench("pooling")
    values = torch.zeros(6, 5)
    values[2:4, 2:4] = 1.0
    values[2, 1] = 0.5
    picture = pooling.Picture(torch.ones(30, 3), values.reshape(-1, 1), torch.ones(30), (6, 5))
    assert bench("matching_pictures").marks(picture) == [3 * 5 + 2, 2 * 5 + 1, 4 * 5 + 2]


def test_looks_add_up_to_one_and_a_region_shares_its_part_evenly(bench):
    import torch

    pooling = bench("pooling")
    generator = torch.Generator().manual_seed(3)
    pictures = [
        pooling.Picture(torch.nn.functional.normalize(torch.randn(24, 5, generator=generator), dim=1), torch.zeros(24, 1), torch.ones(24), (4, 6))
        for _ in range(3)
    ]
    cuts = [pooling.cut(picture, pooling.Units("block", 2)) for picture in pictures]
    found = bench("matching_pictures").looks(cuts[0], cuts[1:], 7, 0.2)
    assert sum(float(look.sum()) for look in found) == pytest.approx(1)
    assert found[0].reshape(4, 6)[:2, :2].unique().numel() == 1
