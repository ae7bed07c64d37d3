"""The sample of images to show does not depend on their order."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from likewise.labelling.sample import Sample

IMAGES = st.dictionaries(st.text("abc", min_size=1, max_size=4), st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=25)


@given(images=IMAGES, unsure=st.integers(0, 4), drawn=st.integers(0, 5), order=st.randoms(use_true_random=False))
def test_it_holds_the_least_certain_and_of_the_others_those_with_the_lowest_hash(images, unsure, drawn, order):
    names = list(images)
    order.shuffle(names)
    sample, dropped = Sample(unsure, drawn), set()
    for name in names:
        gone = sample.offer(name, images[name])
        dropped |= {gone} - {None}
    by_confidence = sorted(images, key=lambda name: (images[name], name))
    others = sorted(by_confidence[unsure:], key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    expected = set(by_confidence[:unsure] + others[:drawn])
    assert list(sample) == [name for name in by_confidence if name in expected]
    assert len(sample) == len(expected)
    assert dropped == set(images) - expected
