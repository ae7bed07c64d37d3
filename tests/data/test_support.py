"""Supports, examples and tables: what is taken, and what is refused with which words."""

import numpy as np
import pytest
from PIL import Image

from likewise.data import ClassTable, Example, LabelKind, Support, Target
from likewise.data.classes import palette
from likewise.errors import InputError

IMAGE = np.zeros((6, 9, 3), np.uint8)


def label_map(**spots):
    values = np.zeros((6, 9), np.uint8)
    for name, place in spots.items():
        values[place] = int(name[1:])
    return values


def test_numbers_keep_theirs_and_names_get_the_free_ones():
    support = Support([Example(IMAGE, "a", label_map=label_map(n2=(0, 0))), Example(IMAGE, "b", tags={"cat": True, "dog": False})])
    assert dict(support.classes.names) == {1: "cat", 2: "class 2", 3: "dog"}


def test_presence_is_yes_no_or_unknown():
    support = Support(
        [
            Example(IMAGE, "map", label_map=label_map(n1=(2, 3))),
            Example(IMAGE, "tag", tags={"stain": False}),
            Example(IMAGE, "sparse", points={"crack": {"positive": [(1, 1)]}}, unlabelled="unknown"),
            Example(IMAGE, "box", boxes={"stain": [(0, 0, 3, 2)]}),
        ],
        classes={1: "crack", 2: "stain"},
    )
    present = [[example.labels.present(number) for number in (1, 2)] for example in support.examples]
    assert present == [[True, False], [None, False], [True, None], [False, True]]
    assert support.showing(1) == [0, 2]
    assert support.lacking(2) == [0, 1]
    assert support.kinds() == {LabelKind.MASK, LabelKind.TAG, LabelKind.POINT, LabelKind.BOX}


def partly_labelled(unlabelled="background"):
    """An example a kind of label, each of which shows class 1 (or a target) and says nothing of class 2."""
    crack = label_map(n1=(2, 3))
    kinds = {
        "label map": {"label_map": crack},
        "masks": {"masks": {"crack": crack > 0}},
        "boxes": {"boxes": {"crack": [(0, 0, 3, 2)]}},
        "points": {"points": {"crack": {"positive": [(1, 1)], "negative": [(5, 5)]}}},
        "scribbles": {"scribbles": {"crack": [[(1, 1), (4, 2)]]}},
        "tags": {"tags": {"crack": True}},
        "class": {"label": "crack"},
        "dense": {"dense": {"depth": np.ones((6, 9))}},
    }
    return [Example(IMAGE, name, **labels, unlabelled=unlabelled) for name, labels in kinds.items()]


@pytest.mark.parametrize("whole", [True, False])
def test_of_a_class_without_a_label_nothing_is_known_where_unlabelled_pixels_are_unknown(whole):
    examples = partly_labelled() if whole else partly_labelled("unknown")
    support = Support(examples, classes={1: "crack", 2: "stain"}, unlabelled="unknown" if whole else None)
    assert [example.labels.present(1) for example in support.examples] == [True] * 7 + [None]
    assert [example.labels.present(2) for example in support.examples] == [None] * 8
    assert support.lacking(2) == []


def test_what_holds_for_all_examples_overrides_what_one_says():
    support = Support(partly_labelled("unknown"), classes={1: "crack", 2: "stain"}, unlabelled="background")
    assert {example.labels.unlabelled for example in support.examples} == {"background"}
    assert [support.examples[index].name for index in support.lacking(2)] == ["label map", "masks", "boxes", "class"]


def test_a_tag_still_says_that_a_class_is_absent_where_the_rest_is_unknown():
    support = Support([Example(IMAGE, "a", label_map=label_map(n1=(2, 3)), tags={"stain": False})], {1: "crack", 2: "stain"}, unlabelled="unknown")
    assert support.lacking(2) == [0]


def test_unknown_pixels_have_no_weight_in_the_coverage_of_any_class():
    values = np.zeros((4, 6), np.uint8)
    values[:2, :3], values[2:, :1], values[2:, 3:] = 1, 1, 255
    labels = Support([Example(np.zeros((4, 6, 3), np.uint8), "a", label_map=values)], classes=["x"], unlabelled="unknown").examples[0].labels
    shares, weight = labels.coverage([1], (2, 2))
    assert weight == pytest.approx(np.array([[1, 0], [1 / 3, 0]]))
    assert (shares[1] * weight) == pytest.approx(weight)
    assert np.abs(shares[0]).max() < 1e-6


def test_the_smaller_of_two_masks_lies_on_top_and_the_larger_is_kept_whole():
    large, small = np.zeros((6, 9), bool), np.zeros((6, 9), bool)
    large[1:5, 1:8], small[2:4, 2:5] = True, True
    labels = Support([Example(IMAGE, "a", masks={"wall": large, "window": small})], classes=["wall", "window"]).examples[0].labels
    assert (labels.label_map == 2).sum() == 6
    assert np.array_equal(labels.mask(1), large)
    assert np.array_equal(labels.mask(2), small)


def test_coverage_counts_areas_and_leaves_out_what_is_ignored():
    values = np.zeros((4, 6), np.uint8)
    values[:2, :3] = 1
    values[2:, 3:] = 255
    labels = Support([Example(np.zeros((4, 6, 3), np.uint8), "a", label_map=values)], classes=["x"]).examples[0].labels
    shares, weight = labels.coverage([1], (2, 2))
    assert weight.tolist() == [[1, 1], [1, 0]]
    assert shares[1].tolist() == [[1, 0], [0, 0]]
    assert shares[0].tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"label_map": np.zeros((9, 6), np.uint8)}, "6x9, its image 9x6.*Rotate"),
        ({"label_map": np.full((6, 9), 7, np.uint8)}, "no class: 7"),
        ({"label_map": np.zeros((6, 9))}, "float64"),
        ({"masks": {"crak": np.ones((6, 9), bool)}}, "did you mean 'crack'"),
        ({"masks": {"crack": np.ones((6, 8), bool)}}, "8x6, its image 9x6"),
        ({"boxes": {"crack": [(3, 1, 2, 4)]}}, "no area"),
        ({"boxes": {"crack": [(10, 1, 12, 4)]}}, "outside"),
        ({"boxes": {"crack": [(1, 2, 3)]}}, "cannot be read"),
        ({"points": {"crack": {"positve": [(1, 1)]}}}, "did you mean 'positive'"),
        ({"points": {"crack": {"positive": [(1, float("nan"))]}}}, "not finite"),
        ({"points": {"crack": {"positive": [(99, 1)]}}}, "outside"),
        ({"scribbles": {"crack": [[(1, 2, 3)]]}}, "shape"),
        ({"tags": {"crack": 1}}, "tag is 1"),
        ({"dense": {"depth": np.full((6, 9), np.inf)}}, "infinite"),
        ({"dense": {"depth": np.full((6, 9), np.nan)}}, "every value"),
        ({"dense": {"depth": np.ones((6, 6))}}, "6x6, its image 9x6"),
        ({"dense": {"depth": np.array(["a"])}}, "dense map is"),
        ({"label": "crakc"}, "did you mean"),
        ({"keypoints": {"nose": (100, 2)}}, "outside"),
    ],
)
def test_labels_that_do_not_fit_are_refused_with_the_examples_name(labels, words):
    with pytest.raises(InputError, match=words) as caught:
        Support([Example(IMAGE, "kitchen", **labels)], classes={1: "crack"})
    assert "kitchen" in caught.value.where
    assert caught.value.remedy


def test_an_example_without_labels_is_refused():
    with pytest.raises(InputError, match="carries no label"):
        Example(IMAGE, "bare")
    with pytest.raises(InputError, match="did you mean 'unknown'"):
        Example(IMAGE, "odd", tags={"a": True}, unlabelled="unknwon")


def test_an_empty_support_and_equal_names_are_refused():
    with pytest.raises(InputError, match="no examples"):
        Support([])
    with pytest.raises(InputError, match="two examples are called 'a'"):
        Support([Example(IMAGE, "a", tags={"x": True}), Example(IMAGE, "a", tags={"x": True})])


def test_a_target_has_one_number_of_channels():
    with pytest.raises(InputError, match="3 channels here and 1 elsewhere"):
        Support([Example(IMAGE, "a", dense={"n": np.ones((6, 9))}), Example(IMAGE, "b", dense={"n": np.ones((6, 9, 3))})])


def test_the_invalid_value_of_a_target_becomes_nan_and_logarithms_need_positive_values():
    values = np.array([[0, 5], [7, 9]], np.uint16)
    support = Support([Example(np.zeros((2, 2, 3), np.uint8), "a", dense={"depth": values})], targets={"depth": Target("mm", kind="log", invalid=0)})
    stored = support.examples[0].labels.dense["depth"][:, :, 0]
    assert np.isnan(stored[0, 0])
    assert stored[1].tolist() == [7, 9]
    with pytest.raises(InputError, match="at or below 0"):
        Support([Example(np.zeros((2, 2, 3), np.uint8), "a", dense={"depth": values})], targets={"depth": Target("mm", kind="log")})


@pytest.mark.parametrize("arguments", [{"kind": "angel"}, {"scale": 0}, {"scale": float("inf")}, {"range": (2, 1)}])
def test_targets_that_make_no_sense_are_refused(arguments):
    with pytest.raises(InputError):
        Target(**arguments)


@pytest.mark.parametrize("classes", [{0: "a"}, {255: "a"}, {1: ""}, {1: "a", 2: "a"}, {"x": "a"}, {40_000: "a"}, {1: "n" * 201}, {1: 3}])
def test_tables_of_classes_that_make_no_sense_are_refused(classes):
    with pytest.raises(InputError, match="class"):
        ClassTable.of(classes)


def test_large_class_numbers_make_signed_label_maps():
    assert (ClassTable({254: "a"}).ignore, ClassTable({300: "a"}).ignore) == (255, -1)
    assert ClassTable({300: "a"}).dtype is np.int16
    assert ClassTable({1: "Zoe\u0308"}).number("Zo\u00eb") == 1


def test_the_palette_has_a_colour_for_every_class():
    assert palette(4).tolist()[0] == [0, 0, 0]
    assert len(palette(4)) == 4
    assert palette()[255].tolist() == [224, 224, 192]  # as in Pascal VOC
    assert len({tuple(colour) for colour in palette().tolist()}) == 256


def test_the_digest_changes_with_any_label_and_with_nothing_else():
    def digest(x, name="a"):
        return Support([Example(IMAGE, name, boxes={"c": [(0, 0, x, 2)]}, tags={"d": True})]).digest()

    assert digest(3) == digest(3)
    assert len({digest(3), digest(4), digest(3, "b")}) == 3


def test_a_subset_keeps_table_and_targets():
    support = Support([Example(IMAGE, name, tags={name: True}) for name in "abc"])
    part = support.subset([2, 0])
    assert [example.name for example in part.examples] == ["c", "a"]
    assert part.classes == support.classes
    assert "3 examples" in repr(support)


def test_a_support_is_read_from_a_folder(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    Image.fromarray(IMAGE).save(tmp_path / "images" / "a.png")
    Image.fromarray(label_map(n1=(2, 3))).save(tmp_path / "masks" / "a.png")
    support = Support.read(tmp_path)
    assert [example.name for example in support.examples] == ["a"]
    assert support.examples[0].labels.label_map[2, 3] == 1
    assert support.examples[0].labels.unlabelled == "background"
    assert Support.read(tmp_path, unlabelled="unknown").examples[0].labels.unlabelled == "unknown"
