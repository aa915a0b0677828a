"""The transition prior: one step by hand, the likelihood rises, forbidden entries stay out, the sample is uniform."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.inference import (
    PixelPairReservoir,
    count_transitions,
    date_agreement,
    estimate_transitions,
    transition_shares,
)
from tests.helpers.two_dates import two_dates

PRIOR = torch.tensor([0.5, 0.5])


def test_one_step_by_hand() -> None:
    """T_0 = [[.375, .125], [.125, .375]]; likelihoods (1, 1/4) and (1/4, 1): J ~ .09375, .125, .0078125, .09375."""
    first, second = torch.tensor([[0.8], [0.2]]), torch.tensor([[0.2], [0.8]])
    found = estimate_transitions(first, second, PRIOR, iterations=1)
    expected = torch.tensor([[0.09375, 0.125], [0.0078125, 0.09375]], dtype=torch.float64)
    torch.testing.assert_close(found.matrix, expected / expected.sum(), atol=1e-5, rtol=0)
    assert (found.iterations, found.converged) == (1, False)


def test_likelihood_rises_and_the_truth_is_found() -> None:
    data = two_dates(40_000, 2.6, seed=0)
    levels = [
        estimate_transitions(data.first, data.second, data.prior, iterations=n, tolerance=0.0).log_likelihood
        for n in (1, 2, 4, 8, 20)
    ]
    assert levels == sorted(levels)
    found = estimate_transitions(data.first, data.second, data.prior)
    assert (found.matrix - data.matrix).abs().sum() < 0.05
    torch.testing.assert_close(found.matrix.sum(), torch.tensor(1.0, dtype=torch.float64))


def test_certain_labels_converge_to_their_counts() -> None:
    first, second = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, 1])
    sure = [torch.nn.functional.one_hot(label, 2).T.float() for label in (first, second)]
    found = estimate_transitions(*sure, PRIOR)
    assert found.converged and found.iterations <= 3
    torch.testing.assert_close(found.matrix, torch.tensor([[0.5, 0.25], [0.0, 0.25]]).double(), atol=1e-5, rtol=0)
    assert found.change_rate == pytest.approx(0.25, abs=1e-5)


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    data = two_dates(1_000, 2.0, seed=2)
    whole = estimate_transitions(data.first, data.second, data.prior, iterations=5)
    monkeypatch.setattr('imbdense.core.inference.transition_prior.CHUNK', 77)
    parts = estimate_transitions(data.first, data.second, data.prior, iterations=5)
    torch.testing.assert_close(parts.matrix, whole.matrix)


def test_forbidden_transitions_stay_zero() -> None:
    data = two_dates(2_000, 2.0, seed=0)
    allowed = torch.ones(8, 8, dtype=torch.bool)
    allowed[0, 1] = allowed[3, 2] = False
    found = estimate_transitions(data.first, data.second, data.prior, allowed)
    assert found.matrix[~allowed].eq(0).all() and found.matrix[allowed].gt(0).all()


def test_agreement_tells_independent_errors_from_repeated_ones() -> None:
    data = two_dates(20_000, 1.8, seed=0)
    observed, expected = date_agreement(data.first, data.second, data.matrix)
    assert observed == pytest.approx(expected, abs=0.02)
    repeated, expected = date_agreement(data.first, data.first, data.matrix)
    assert repeated == 1.0 and expected < 0.75
    # Two classes, both dates sure of the right one: they agree where nothing changes.
    sure = torch.eye(2)[torch.tensor([0, 0, 1, 1])].T
    assert date_agreement(sure, sure.flip(0), torch.tensor([[0.4, 0.1], [0.2, 0.3]])) == (0.0, pytest.approx(0.7))


def test_counts_and_shares() -> None:
    first, second = torch.tensor([[0, 1, 255, 1]]), torch.tensor([[1, 1, 0, 255]])
    counts = count_transitions(first, second, 2)
    assert counts.tolist() == [[0, 1], [0, 1]] and counts.dtype == torch.int64
    shares = transition_shares(counts, torch.tensor([[True, True], [False, True]]))
    assert shares[1, 0] == 0 and shares[0, 0] == pytest.approx(1e-6, rel=1e-3)
    assert shares.sum() == pytest.approx(1.0)
    with pytest.raises(ValueError, match='do not fit 2 classes'):
        count_transitions(first, second + 1, 2, ignore_index=256)
    with pytest.raises(ValueError, match='sum to zero'):
        transition_shares(torch.zeros(2, 2))


def test_reservoir_is_uniform_over_scenes_and_repeatable() -> None:
    def fill(seed: int) -> torch.Tensor:
        reservoir = PixelPairReservoir(400, seed)
        for scene, pixels in enumerate((1_000, 3_000)):
            values = torch.full((2, pixels), float(scene))
            reservoir.add(values, values)
        first, second = reservoir.sample()
        assert torch.equal(first, second) and first.shape == (2, 400)
        return first[0]

    assert abs(fill(0).mean() - 0.75) < 0.07
    assert torch.equal(fill(0), fill(0))
    small = PixelPairReservoir(10)
    small.add(torch.rand(2, 3), torch.rand(2, 3))
    assert small.sample()[0].shape == (2, 3)
    with pytest.raises(ValueError, match='no pixel was offered'):
        PixelPairReservoir(10).sample()


def test_messages() -> None:
    p = torch.full((2, 3), 0.5)
    with pytest.raises(ValueError, match='there is no pixel'):
        estimate_transitions(p[:, :0], p[:, :0], PRIOR)
    with pytest.raises(ValueError, match='at least one transition'):
        estimate_transitions(p, p, PRIOR, torch.zeros(2, 2, dtype=torch.bool))
