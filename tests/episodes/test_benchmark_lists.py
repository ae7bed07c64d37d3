"""Folds, and the lists that fix their images: official ones by hash, own ones by structure, pickles without running them."""

import hashlib
import pickle

import pytest

from likewise.episodes import lists
from likewise.episodes.folds import base_classes, class_names, novel_classes
from likewise.episodes.lists import plain_pickle, read_list
from likewise.errors import InputError, UsageError

SIZES = {  # the README of the lists: lines (Pascal) and distinct images (COCO) of training
    "pascal-5i": (11394, 10255, 7797, 11594),
    "coco-20i": (62040, 74381, 73035, 73808),
}


@pytest.mark.parametrize("benchmark", ["pascal-5i", "coco-20i"])
def test_every_class_is_novel_in_one_fold_and_base_in_the_others(benchmark):
    numbers = sorted(class_names(benchmark))
    assert sorted(number for fold in range(4) for number in novel_classes(benchmark, fold)) == numbers
    for fold in range(4):
        assert sorted((*novel_classes(benchmark, fold), *base_classes(benchmark, fold))) == numbers


def test_folds_have_the_published_classes():
    names = class_names("coco-20i")
    assert [names[number] for number in novel_classes("coco-20i", 3)][:4] == ["motorcycle", "truck", "stop sign", "cat"]
    assert [names[number] for number in novel_classes("coco-20i", 1)][-2:] == ["book", "teddy bear"]
    assert [class_names("pascal-5i")[number] for number in novel_classes("pascal-5i", 2)] == ["diningtable", "dog", "horse", "motorbike", "person"]


def test_an_unknown_benchmark_or_fold_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match="did you mean 'coco-20i'"):
        class_names("coco-20")
    with pytest.raises(UsageError, match="0 to 3"):
        novel_classes("pascal-5i", 4)


@pytest.mark.parametrize("benchmark", ["pascal-5i", "coco-20i"])
@pytest.mark.parametrize("fold", range(4))
def test_the_official_lists_have_their_published_lengths(shared, benchmark, fold):
    images = read_list(benchmark, shared / "benchmarks" / benchmark, fold, "trn")
    assert images.length == SIZES[benchmark][fold]
    assert tuple(images.by_class) == base_classes(benchmark, fold)


def pascal(folder, **changed):
    """A folder of small lists, one image of each class of each fold but for what is changed."""
    for split in ("trn", "val"):
        (folder / split).mkdir(parents=True)
        for fold in range(4):
            lines = [f"2007_{number:06d}__{number:02d}" for number in novel_classes("pascal-5i", fold)]
            (folder / split / f"fold{fold}.txt").write_text(changed.get(f"{split}{fold}", "\n".join(lines)))
    return folder


class TestOwnLists:
    def test_training_reads_the_other_folds_in_their_order(self, tmp_path):
        images = read_list("pascal-5i", pascal(tmp_path), 1, "trn", official=False)
        assert [number for _, number in images.queries] == [*range(1, 6), *range(11, 21)]
        assert images.by_class[11] == ["2007_000011"]

    def test_an_image_with_two_classes_has_two_lines(self, tmp_path):
        folder = pascal(tmp_path, val0="a__01\nb__02\nb__03\nc__04\nd__05")
        images = read_list("pascal-5i", folder, 0, "val", official=False)
        assert images.by_class[2] == images.by_class[3] == ["b"]
        assert images.queries[1:3] == [("b", 2), ("b", 3)]

    def test_they_are_not_taken_for_the_official_ones(self, tmp_path):
        with pytest.raises(InputError, match="MD5"):
            read_list("pascal-5i", pascal(tmp_path), 1, "trn")

    @pytest.mark.parametrize(
        ("text", "words"),
        [("a__01\nb__02\nc__03\nd__04", "no image of class 5"), ("a__01\nb__09", "line 2 is 'b__09'"), ("a 01", "line 1 is 'a'"), ("../x__01", "line 1")],
    )
    def test_a_broken_one_says_where(self, tmp_path, text, words):
        with pytest.raises(InputError, match=words):
            read_list("pascal-5i", pascal(tmp_path, val0=text), 0, "val", official=False)

    def test_a_missing_one_says_where_to_get_it(self, tmp_path):
        with pytest.raises(InputError, match=r"fold2\.txt.*github.com/dahyun-kang/cst"):
            read_list("pascal-5i", tmp_path, 2, "val")


class TestPickles:
    def content(self):
        classes = novel_classes("coco-20i", 2)
        return {number: [f"val2014/{number}-{index}.jpg" for index in range(3)] if number + 1 in classes else [] for number in range(80)}

    def test_lists_by_class_number_from_0_become_lists_from_1(self, tmp_path):
        (tmp_path / "val").mkdir()
        (tmp_path / "val/fold2.pkl").write_bytes(pickle.dumps(self.content()))
        images = read_list("coco-20i", tmp_path, 2, "val", official=False)
        assert tuple(images.by_class) == novel_classes("coco-20i", 2)
        assert images.by_class[7] == ["val2014/6-0.jpg", "val2014/6-1.jpg", "val2014/6-2.jpg"]
        assert (images.queries, images.length) == ((), 60)

    def test_the_hash_is_that_of_the_file_of_its_fold(self, tmp_path, monkeypatch):
        content = pickle.dumps(self.content())
        (tmp_path / "val").mkdir()
        (tmp_path / "val/fold2.pkl").write_bytes(content)
        monkeypatch.setitem(lists.MD5, "coco-20i/val/fold2.pkl", hashlib.md5(content).hexdigest())
        assert read_list("coco-20i", tmp_path, 2, "val").length == 60

    def test_one_that_would_call_anything_is_refused_and_calls_nothing(self, capsys):
        class Trap:
            def __reduce__(self):
                return (print, ("this must not run",))

        with pytest.raises(InputError, match=r"builtins\.print"):
            plain_pickle(pickle.dumps({0: Trap()}), "x.pkl")
        assert capsys.readouterr().out == ""

    @pytest.mark.parametrize("content", [b"", b"\x80\x04", b"garbage", pickle.dumps({0: ["a"]})[:-4]])
    def test_a_truncated_one_is_refused(self, content):
        with pytest.raises(InputError, match="no plain pickle"):
            plain_pickle(content, "x.pkl")

    @pytest.mark.parametrize("content", [[1], {"a": ["b"]}, {0: "a"}, {0: [1]}])
    def test_one_of_something_else_is_refused(self, tmp_path, content):
        (tmp_path / "val").mkdir()
        (tmp_path / "val/fold0.pkl").write_bytes(pickle.dumps(content))
        with pytest.raises(InputError, match="names by class number"):
            read_list("coco-20i", tmp_path, 0, "val", official=False)
