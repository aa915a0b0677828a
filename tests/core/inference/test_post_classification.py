"""Post-classification comparison: by hand, against all pairs at once, chunks, forbidden transitions, what it buys."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.inference import compare_classifications, estimate_transitions
from tests.helpers.two_dates import CHANGE, change_scores, two_dates

PRIOR = torch.tensor([0.8, 0.2])
RARE = torch.tensor([[0.79, 0.01], [0.01, 0.19]])


def test_modes_by_hand() -> None:
    first, second = torch.tensor([[0.6], [0.4]]), torch.tensor([[0.4], [0.6]])
    plain = compare_classifications(first, second, 'argmax')
    assert (plain.first.item(), plain.second.item(), plain.changed.item()) == (0, 1, True)
    assert plain.p_change.item() == pytest.approx(1 - 0.48)
    probable = compare_classifications(first, second, 'prob', threshold=0.6)
    assert (probable.first.item(), probable.second.item()) == (0, 0)  # both common classes have 0.24: the lower one
    # Likelihoods 0.75 : 2 and 0.5 : 3; J ~ 0.29625, 0.0225, 0.01, 1.14.
    found = compare_classifications(first, second, 'bayes', prior=PRIOR, transition=RARE)
    assert (found.first.item(), found.second.item()) == (1, 1)
    assert found.p_change.item() == pytest.approx(0.0325 / 1.46875, rel=1e-5)


def test_prob_gives_a_pair_that_differs_exactly_where_it_says_change() -> None:
    first, second = torch.tensor([[0.5], [0.45], [0.05]]), torch.tensor([[0.5], [0.1], [0.4]])
    found = compare_classifications(first, second, 'prob')
    assert (found.first.item(), found.second.item()) == (1, 0)  # 0.45 * 0.5 beats 0.5 * 0.4
    generator = torch.Generator().manual_seed(0)
    p, q = torch.rand(2, 5, 400, generator=generator).softmax(1)
    maps = compare_classifications(p, q, 'prob', threshold=0.79)
    assert torch.equal(maps.changed, maps.p_change > 0.79) and 0 < maps.changed.sum() < 400
    for x in range(400):
        joint = p[:, x, None] * q[:, x]
        joint[torch.eye(5, dtype=torch.bool) == bool(maps.changed[x])] = -1
        assert joint.argmax().item() == 5 * maps.first[x] + maps.second[x]


def slow_bayes(first: torch.Tensor, second: torch.Tensor, prior: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """All K x K joint posteriors of every pixel, (P, K, K)."""
    joint = torch.einsum('ip,ij,jp->pij', first / prior[:, None], matrix, second / prior[:, None])
    return joint / joint.sum((1, 2), keepdim=True)


def test_bayes_equals_all_pairs_at_once_for_any_chunk_and_shape() -> None:
    data = two_dates(601, 1.5, seed=3)
    joint = slow_bayes(data.first, data.second, data.prior, data.matrix)
    best = joint.flatten(1).argmax(1)
    options = {'prior': data.prior, 'transition': data.matrix}
    whole = compare_classifications(data.first, data.second, **options)
    assert torch.equal(8 * whole.first + whole.second, best)
    torch.testing.assert_close(whole.p_change.double(), 1 - joint.diagonal(dim1=1, dim2=2).sum(1), atol=1e-5, rtol=0)
    for chunk in (1, 7, 600, 10_000):
        part = compare_classifications(data.first, data.second, **options, chunk=chunk)
        assert torch.equal(part.first, whole.first) and torch.equal(part.second, whole.second)
        torch.testing.assert_close(part.p_change, whole.p_change)
    scene = [values[:, :600].view(8, 20, 30) for values in (data.first, data.second)]
    image = compare_classifications(*scene, **options)
    assert image.first.shape == (20, 30) and torch.equal(image.first.flatten(), whole.first[:600])


def test_threshold_decides_where_the_pair_differs() -> None:
    data = two_dates(400, 1.5, seed=3)
    joint = slow_bayes(data.first, data.second, data.prior, data.matrix)
    maps = compare_classifications(data.first, data.second, prior=data.prior, transition=data.matrix, threshold=0.2)
    assert torch.equal(maps.changed, maps.p_change > 0.2) and maps.changed.any()
    same = torch.eye(8, dtype=torch.bool)
    joint[torch.where(maps.changed[:, None, None], same, ~same)] = -1
    assert torch.equal(8 * maps.first + maps.second, joint.flatten(1).argmax(1))


def test_no_table_of_pairs_per_pixel_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest tensor made for one chunk of P pixels has K P elements, not K^2 P."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        size = 0

        def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
            result = function(*arguments, **(keywords or {}))
            if isinstance(result, torch.Tensor):
                self.size = max(self.size, result.numel())
            return result

    data = two_dates(4_000, 1.5, seed=0)
    with Largest() as seen:
        compare_classifications(data.first, data.second, prior=data.prior, transition=data.matrix, chunk=1_000)
    assert seen.size <= 8 * 4_000  # a view of the input; one chunk of all pairs would be 64 000
    with Largest() as seen:
        estimate_transitions(data.first, data.second, data.prior, iterations=2)
    assert seen.size <= 8 * 4_000


def test_forbidden_transition_is_never_chosen_even_by_saturated_scores() -> None:
    first, second = torch.tensor([[1.0], [0.0], [0.0]]), torch.tensor([[0.0], [0.0], [1.0]])
    matrix = torch.full((3, 3), 1.0)
    matrix[0, 2] = 0.0
    found = compare_classifications(first, second, prior=torch.ones(3), transition=matrix)
    assert (found.first.item(), found.second.item()) != (0, 2) and torch.isfinite(found.p_change).all()
    data = two_dates(3_000, 1.0, seed=1)
    matrix = data.matrix.clone()
    matrix[0, 3] = 0.0
    maps = compare_classifications(data.first, data.second, prior=data.prior, transition=matrix)
    assert not ((maps.first == 0) & (maps.second == 3)).any()


def test_diagonal_prior_finds_no_change_and_uniform_priors_are_argmax() -> None:
    data = two_dates(500, 1.0, seed=0)
    still = compare_classifications(data.first, data.second, prior=data.prior, transition=data.prior.diag())
    assert not still.changed.any() and still.p_change.max() < 1e-6
    flat = compare_classifications(data.first, data.second, prior=torch.ones(8), transition=torch.ones(8, 8))
    plain = compare_classifications(data.first, data.second, 'argmax')
    assert torch.equal(flat.first, plain.first) and torch.equal(flat.second, plain.second)
    torch.testing.assert_close(flat.p_change, plain.p_change, atol=1e-5, rtol=0)


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_bayes_beats_argmax_and_estimates_the_change_rate(seed: int) -> None:
    """Eight long-tailed classes, 7.6 % change, each date right at about 87 %, nothing labelled."""
    data = two_dates(60_000, 2.3, seed)
    truth = data.first_label != data.second_label
    accuracy = (data.first.argmax(0) == data.first_label).double().mean()
    assert 0.84 < accuracy < 0.90
    plain, plain_false = change_scores(compare_classifications(data.first, data.second, 'argmax').changed, truth)
    estimate = estimate_transitions(data.first, data.second, data.prior)
    maps = compare_classifications(data.first, data.second, prior=data.prior, transition=estimate.matrix)
    bayes, bayes_false = change_scores(maps.changed, truth)
    assert bayes > plain + 0.1
    assert bayes_false < 0.2 * plain_false
    assert estimate.change_rate == pytest.approx(CHANGE, rel=0.1)
    assert maps.p_change.mean().item() == pytest.approx(CHANGE, rel=0.1)


def test_messages() -> None:
    p = torch.full((2, 3), 0.5)
    with pytest.raises(ValueError, match="needs the class prior of the model"):
        compare_classifications(p, p)
    with pytest.raises(ValueError, match=r'transition must be \(2, 2\)'):
        compare_classifications(p, p, prior=PRIOR, transition=torch.ones(3, 3))
    with pytest.raises(ValueError, match='must have one shape'):
        compare_classifications(p, p[:, :2], 'argmax')
    with pytest.raises(ValueError, match='prior must hold 2 class shares'):
        compare_classifications(p, p, prior=torch.ones(3), transition=RARE)
    empty = compare_classifications(p[:, :0], p[:, :0], 'argmax')
    assert empty.first.numel() == 0
