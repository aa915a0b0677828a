"""Does pre-training save labelled iterations on squares? Measured: no; the card says what was seen."""

from __future__ import annotations

import pytest

from tests.helpers.ssp_squares import compare


@pytest.mark.slow
@pytest.mark.xfail(strict=True, raises=AssertionError, reason='the target is missed; see the card, "Our numbers"')
def test_simsiam_reaches_the_best_of_the_base_in_seventy_percent_of_its_iterations() -> None:
    runs = [compare('simsiam', 300, seed) for seed in range(3)]
    pretrained = [run.steps(run.pretrained) for run in runs]
    assert None not in pretrained, pretrained
    assert sum(pretrained) <= 0.7 * sum(run.steps(run.base) for run in runs)
