"""Which pictures stand in which row of the sheets of decisions."""


def test_named_missed_and_named_in_vain_come_with_the_least_sure_first(bench):
    judged = bench("deciding_pictures").judged
    scores = {"a": 0.9, "b": 0.6, "c": 0.2, "d": 0.5, "e": 0.7, "f": 0.1}
    there = {"a": True, "b": True, "c": True, "d": False, "e": False, "f": False}
    assert judged(scores, there, 0.5) == (["b", "a"], ["c"], ["e", "d"])
