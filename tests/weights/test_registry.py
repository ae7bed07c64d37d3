import re

import pytest

from likewise.errors import UsageError
from likewise.weights import entries, entry
from likewise.weights.registry import parse


@pytest.mark.parametrize("name", list(entries()))
def test_an_entry_says_licence_paper_and_where_to_get_it(name):
    described = entry(name)
    assert described.licence
    assert described.paper
    assert described.places


@pytest.mark.parametrize("name", list(entries()))
def test_hashes_and_revisions_have_the_form_of_hashes(name):
    for place in entry(name).places:
        assert place.sha256 is None or re.fullmatch("[0-9a-f]{64}", place.sha256)
        assert place.revision is None or re.fullmatch("[0-9a-f]{40}", place.revision)
        assert place.hash == "unknown" or place.sha256


def test_the_table_holds_the_weights_of_the_design():
    named = {"dinov2-reg-small", "dinov2-reg-small-sphere", "dinov2-reg-base", "dinov2-small", "dinov2-base", "dinov3-small", "dinov3-base"}
    compared = {"dino-small-8", "dino-small-16", "dino-base-16", "vit-small-16", "vit-base-16", "mae-base-16"}
    assert named | compared | {"beit-base", "sam-base", "sam2-tiny", "resnet50", "resnet101"} == set(entries())


def test_an_unknown_name_comes_with_the_closest_match():
    with pytest.raises(UsageError, match="did you mean 'dinov2-reg-small'"):
        entry("dinov2-reg-smal")


def place(text):
    return f'[a]\nsummary = "s"\narchitecture = "x"\nlicence = "l"\npaper = "p"\nplaces = [{{ {text} }}]\n'


@pytest.mark.parametrize(
    "text",
    [
        'kind = "hub", file = "f", layout = "official"',
        'kind = "package", package = "p", version = "1", archive = "p.whl", file = "f", layout = "official"',
        f'kind = "file", file = "f", layout = "official", sha256 = "{"0" * 64}"',
        'kind = "file", file = "f", layout = "official", hash = "computed"',
    ],
    ids=["hub without repository", "package without hash", "hash of unknown origin", "origin without hash"],
)
def test_a_place_that_lacks_what_its_kind_needs_is_refused(text):
    with pytest.raises(ValueError, match="the place"):
        parse(place(text))
