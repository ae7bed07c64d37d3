"""What a task may be learned from."""

import numpy as np
import pytest

import likewise
from likewise.data import Example, Support
from likewise.errors import InputError

HERE = {"method": "prototype", "backbone": "random:vit-tiny-14", "side": 84}


def examples():
    image = np.random.default_rng(3).integers(0, 255, (56, 84, 3), np.uint8)
    mask = np.zeros((56, 84), bool)
    mask[10:40, 20:60] = True
    return [Example(image, "a", masks={"thing": mask})], image


def test_examples_alone_are_a_support():
    shown, image = examples()
    assert (likewise.learn(shown, **HERE).predict(image).scores == likewise.learn(Support(shown), **HERE).predict(image).scores).all()


@pytest.mark.parametrize("source", [[np.zeros((4, 4, 3), np.uint8)], ["a.png"]])
def test_what_is_no_example_is_named(source):
    with pytest.raises(InputError, match=f"a {type(source[0]).__name__} is no example"):
        likewise.learn(source, **HERE)
