"""Where a target distribution comes from, and how it is kept."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.pseudo_label import TargetPrior

OTHER = torch.tensor([0.1, 0.9])


def test_each_kind() -> None:
    assert TargetPrior(2, 'uniform').prior_or(OTHER).tolist() == [0.5, 0.5]
    assert TargetPrior(2, [3, 1]).prior_or(OTHER).tolist() == [0.75, 0.25]
    assert TargetPrior(2, 'labelled', [9, 1]).prior_or(OTHER).tolist() == pytest.approx([0.9, 0.1])
    assert torch.equal(TargetPrior(2, 'estimated').prior_or(OTHER), OTHER)


def test_an_estimate_is_kept_in_the_state() -> None:
    prior, again = TargetPrior(2, 'estimated'), TargetPrior(2, 'estimated')
    prior.set_prior(torch.tensor([1.0, 3.0]))
    again.load_state_dict(prior.state_dict())
    assert again.prior_or(OTHER).tolist() == [0.25, 0.75]


def test_wrong_priors_are_named() -> None:
    with pytest.raises(ValueError, match='prior'):
        TargetPrior(2, 'estimated').set_prior([-1, 2])
    with pytest.raises(ValueError, match='labelled'):
        TargetPrior(2, 'true')
