"""Read-outs of the picture: they find what the tokens cannot see, give the same for the same, and touch nothing else."""

import pytest
import torch

from likewise.methods.analogy import conv
from likewise.methods.analogy.crossfit import FITS, fitted_answers
from likewise.methods.analogy.fitting import UNKNOWN, Scene

COUNT = 3
STEPS = {"pixel": 60, "conv": 200}


@pytest.fixture(autouse=True, scope="module")
def _small_crops():
    """Crops and batches so small that a network is fitted in seconds on one thread."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conv, "_CROP", 48)
        patch.setattr(conv, "_BATCH", 4)
        yield


def scene(seed, height=97, width=134):
    """A noisy grey picture with a thin bright line (1) and a striped patch (2), and tokens that see nothing of them."""
    generator = torch.Generator().manual_seed(seed)
    grey, labels = torch.full((height, width), 0.45), torch.zeros((height, width), dtype=torch.long)
    row, top, left = (int(torch.randint(low, high, (), generator=generator)) for low, high in ((8, height // 3), (height // 2, height - 36), (5, width - 45)))
    grey[row : row + 4], labels[row : row + 4] = 0.8, 1
    patch = (slice(top, top + 32), slice(left, left + 40))
    grey[patch], labels[patch] = 0.45 + 0.15 * (-1.0) ** (torch.arange(40) // 2), 2
    picture = (grey + 0.03 * torch.randn(3, height, width, generator=generator)).clamp(0, 1)
    return Scene(picture, torch.full((COUNT, height, width), 0.3), labels)


def fitted(kind, scenes, **more):
    return FITS[kind][0](scenes, COUNT, **{"steps": STEPS[kind], **more})


@pytest.fixture(scope="module", params=FITS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def kept(kind, _small_crops):
    """What is fitted on two scenes."""
    return fitted(kind, [scene(1), scene(2, 110, 121)])


def test_what_the_tokens_cannot_see_is_found_on_a_new_picture(kind, kept):
    query = scene(9, 101, 127)
    found = FITS[kind][1](query, kept).argmax(0)
    for place in (1, 2):
        both, either = (found == place) & (query.labels == place), (found == place) | (query.labels == place)
        assert both.sum() > 0.6 * either.sum(), f"class {place}: IoU {both.sum() / either.sum():.2f}"


@pytest.mark.parametrize("size", [(96, 128), (37, 61), (3, 5), (1, 1)])
def test_every_size_of_picture_is_answered_pixel_by_pixel(kind, kept, size):
    found = FITS[kind][1](Scene(torch.rand(3, *size), torch.rand(COUNT, *size), torch.full(size, UNKNOWN)), kept)
    assert found.shape == (COUNT, *size)
    assert found.isfinite().all()


def test_what_tokens_say_counts(kind):
    scenes = [scene(1), scene(2, 110, 121)]
    told = [Scene(torch.full_like(item.picture, 0.4), torch.nn.functional.one_hot(item.labels, COUNT).float().permute(2, 0, 1), item.labels) for item in scenes]
    found = FITS[kind][1](told[0], fitted(kind, told, steps=120)).argmax(0)
    assert min(float((found == place)[told[0].labels == place].float().mean()) for place in range(COUNT)) > 0.9


def tinted(seed, blue=1.0):
    """A noisy picture whose right side (1) is striped and more blue, under a light with so much blue."""
    labels = (torch.arange(100) >= 45 + seed).long().expand(70, -1).clone()
    stripes = 0.45 + 0.04 * (-1.0) ** (torch.arange(100) // 2) * labels
    picture = stripes + 0.04 * torch.randn(3, 70, 100, generator=torch.Generator().manual_seed(seed))
    picture[2] += 0.1 * labels
    return Scene((picture * torch.tensor([1.0, 1.0, blue])[:, None, None]).clamp(0, 1), torch.zeros(COUNT, 70, 100), labels)


def test_texture_is_trusted_more_than_the_colour_of_one_light(kind):
    query = tinted(5, blue=1.25)
    found = FITS[kind][1](query, fitted(kind, [tinted(1), tinted(2)], steps=120)).argmax(0)
    assert (found == query.labels).float().mean() > 0.97


def test_the_seed_alone_decides_and_the_global_random_state_is_untouched(kind):
    before, scenes = torch.get_rng_state(), [scene(1), scene(2, 110, 121)]
    one, two, other = (fitted(kind, scenes, steps=3, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())
    assert not all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_fitting_works_where_no_gradients_are_kept(kind):
    expected = fitted(kind, [scene(1)], steps=3)
    with torch.inference_mode():
        found = fitted(kind, [scene(1)], steps=3)
        FITS[kind][1](scene(2), found)
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())
    assert not any(tensor.requires_grad for tensor in found.values())


def test_scenes_are_unchanged(kind):
    one = scene(1)
    before = [part.clone() for part in (one.picture, one.answers, one.labels)]
    FITS[kind][1](one, fitted(kind, [one], steps=3))
    assert all(torch.equal(part, old) for part, old in zip((one.picture, one.answers, one.labels), before, strict=True))


def test_many_scenes_are_fitted_as_few_are(kind):
    found = fitted(kind, [scene(seed, 73 + seed, 70) for seed in range(13)], steps=2)
    assert all(tensor.isfinite().all() for tensor in found.values())


def test_what_lies_where_nothing_is_known_does_not_count():
    one = scene(1)
    known = one.only(torch.arange(134).expand(97, -1) < 70)
    junk = Scene(known.picture, torch.where(known.labels == UNKNOWN, 99.0, known.answers), known.labels)
    expected, found = (fitted("pixel", [item], steps=5) for item in (known, junk))
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())


def test_scenes_that_are_known_by_half_teach_what_is_known():
    left = torch.arange(134).expand(97, -1) < 67
    found = fitted("pixel", [scene(1).only(left), scene(3).only(~left)])
    query = scene(9, 101, 127)
    line = query.labels == 1
    answer = FITS["pixel"][1](query, found).argmax(0) == 1
    assert (answer & line).sum() > 0.5 * (answer | line).sum()


def test_a_class_that_was_never_seen_has_no_probability(kind, kept):
    seen = {**kept, "seen": torch.tensor([True, False, True])}
    found = fitted_answers(kind, scene(9, 101, 127), seen)
    assert (found[1] == 0).all()
    torch.testing.assert_close(found.sum(0), torch.ones(101, 127))
