"""Values that are made once."""

from likewise.episodes.kept import Kept


def test_a_value_is_made_once_while_it_fits():
    made = []

    def make(name):
        made.append(name)
        return name * 4

    kept = Kept[str](13, len)
    for name in ("a", "b", "a", "c", "a", "d", "a", "b"):
        assert kept(name, lambda name=name: make(name)) == name * 4
    assert made == ["a", "b", "c", "d", "b"]  # a is asked for again and again; b is gone when d is made


def test_a_value_that_is_too_large_is_given_all_the_same():
    kept = Kept[str](3, len)
    assert kept("a", lambda: "aaaa") == "aaaa"
    assert kept("b", lambda: "bbbbb") == "bbbbb"
