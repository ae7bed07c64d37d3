"""Batches are a fixed function of the list."""

from hypothesis import given
from hypothesis import strategies as st

from likewise.labelling.plan import BatchPlan, groups, windows


@given(parts=st.lists(st.integers(0, 40), max_size=4), size=st.integers(1, 9))
def test_windows_cover_the_list_once_in_order_and_end_where_a_part_ends(parts, size):
    spans = list(windows(parts, size))
    assert [position for span in spans for position in span] == list(range(sum(parts)))
    ends = {sum(parts[: n + 1]) for n in range(len(parts))}
    assert all(0 < len(span) <= size for span in spans)
    assert all(span.stop in ends or len(span) == size for span in spans)


@given(st.lists(st.sampled_from([(2, 3), (3, 2), (5, 7), None]), max_size=20))
def test_groups_hold_every_readable_place_once_under_its_shape(shapes):
    found = groups(shapes)
    assert sorted(place for group in found for place in group) == [place for place, shape in enumerate(shapes) if shape is not None]
    assert all(len({shapes[place] for place in group}) == 1 for group in found)
    assert len({shapes[group[0]] for group in found}) == len(found)


def test_a_window_holds_four_batches_and_at_least_32_images():
    assert (BatchPlan.of(4).window, BatchPlan.of(1).window, BatchPlan.of(16).window) == (32, 32, 64)


def test_halving_holds_from_its_position_on_and_forgets_later_ones():
    plan = BatchPlan.of(8)
    assert plan.halve(40)
    assert plan.halve(64)
    assert [plan.size_at(position) for position in (0, 39, 40, 63, 64, 900)] == [8, 8, 4, 4, 2, 2]
    assert plan.halve(40)
    assert [plan.size_at(position) for position in (39, 40, 64)] == [8, 2, 2]


def test_a_batch_of_one_cannot_be_halved():
    plan = BatchPlan(2, 32)
    assert plan.halve(5)
    assert not plan.halve(6)
    assert plan.halved == [(5, 1)]
