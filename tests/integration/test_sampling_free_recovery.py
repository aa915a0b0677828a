"""Without sampling and without guidance a dense detector collapses; with guidance it finds all classes."""

from __future__ import annotations

import math

import pytest

from tests.integration.squares_toy import VARIANTS, Squares, make_squares, recalls, train


@pytest.fixture(scope='module')
def test_images() -> Squares:
    """2000 images with 43 objects of the rare class."""
    return make_squares(2000, 10_000)


def collapsed(found: list[float]) -> bool:
    """Not finite, or nothing found."""
    return all(math.isnan(value) or value < 0.1 for value in found)


def test_start_of_training_in_short() -> None:
    """After 200 steps the guided network finds the frequent class; the unguided one finds nothing."""
    few = make_squares(300, 10_000)
    assert collapsed(recalls(train(VARIANTS['bce prior bias'], 0, 200), few))
    assert recalls(train(VARIANTS['guided warmup_freeze'], 0, 200), few)[0] > 0.8


@pytest.mark.slow
@pytest.mark.parametrize('name', ['bce zero bias', 'bce prior bias'])
def test_unguided_collapses(name: str, test_images: Squares) -> None:
    assert collapsed(recalls(train(VARIANTS[name], 0), test_images))


@pytest.mark.slow
def test_guided_recovers_on_every_seed_as_focal_does(test_images: Squares) -> None:
    guided = [recalls(train(VARIANTS['guided warmup_freeze'], seed), test_images) for seed in range(5)]
    focal = [recalls(train(VARIANTS['focal'], seed), test_images) for seed in range(5)]
    assert all(head >= 0.9 and middle >= 0.9 for head, middle, _ in guided), guided
    rare, rare_focal = (sum(found[2] for found in runs) / 5 for runs in (guided, focal))
    assert rare >= 0.8 and rare >= rare_focal - 0.1, (guided, focal)
