"""Agreement of views: values by hand, slow references, gradients, half precision."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.representation import embedding_spread, info_nce, match_locations, negative_cosine


def test_negative_cosine_by_hand() -> None:
    """Cosines 1, 0 and 3/5: the mean is -(1 + 0 + .6) / 3."""
    prediction = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 4.0]])
    target = torch.tensor([[5.0, 0.0], [7.0, 0.0], [1.0, 0.0]])
    assert negative_cosine(prediction, target).item() == pytest.approx(-1.6 / 3)


def test_the_target_gets_no_gradient() -> None:
    prediction, target = (torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    negative_cosine(prediction, target).backward()
    assert target.grad is None and float(prediction.grad.abs().sum()) > 0
    assert torch.autograd.gradcheck(lambda p: negative_cosine(p, target), prediction)


def test_info_nce_by_hand() -> None:
    """q k = 1, negatives 0 and -1, T = 1/2: L = log(e^2 + e^0 + e^-2) - 2."""
    query = torch.tensor([[1.0, 0.0]])
    negatives = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    value = info_nce(query, query, negatives, temperature=0.5)
    assert value.item() == pytest.approx(math.log(math.exp(2) + 1 + math.exp(-2)) - 2, rel=1e-6)


def test_info_nce_against_a_loop() -> None:
    torch.manual_seed(0)
    query, positive, negatives = (F.normalize(torch.randn(n, 5), dim=1) for n in (7, 7, 11))
    terms = []
    for q, k in zip(query, positive):
        top = math.exp(float(q @ k) / 0.2)
        terms.append(-math.log(top / (top + sum(math.exp(float(q @ n) / 0.2) for n in negatives))))
    assert info_nce(query, positive, negatives).item() == pytest.approx(sum(terms) / 7, rel=1e-5)


def test_info_nce_gradient_goes_to_the_query_alone() -> None:
    query = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    positive = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    negatives = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda q: info_nce(q, positive, negatives), query)
    info_nce(query, positive, negatives).backward()
    assert positive.grad is None and negatives.grad is None


@pytest.mark.parametrize('function', ['cosine', 'nce'])
def test_bf16_autocast_and_empty_batches(function: str) -> None:
    torch.manual_seed(0)
    one, two, negatives = (F.normalize(torch.randn(n, 16), dim=1) for n in (5, 5, 30))

    def value(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return negative_cosine(x, y) if function == 'cosine' else info_nce(x, y, negatives)

    exact = value(one, two)
    with torch.autocast('cpu', torch.bfloat16):
        inside, half = value(one, two), value(one.bfloat16(), two.bfloat16())
    assert torch.equal(inside, exact) and inside.dtype == half.dtype == torch.float32
    assert half.item() == pytest.approx(exact.item(), rel=3e-2, abs=1e-2)
    empty = torch.zeros(0, 16, requires_grad=True)
    nothing = value(empty, empty.detach())
    nothing.backward()
    assert nothing.item() == 0 and empty.grad is not None


def test_without_negatives_nothing_is_to_be_told_apart() -> None:
    query = F.normalize(torch.randn(3, 4), dim=1)
    assert info_nce(query, query, torch.zeros(0, 4)).item() == 0


def test_matching_by_hand() -> None:
    """Directions count, not lengths: location 0 looks right, location 1 up."""
    query = torch.tensor([[[1.0, 0.0], [0.0, 0.1]]])  # (1, 2, 2): (1, 0), (0, .1)
    key = torch.tensor([[[0.1, 9.0, 0.0], [5.0, 1.0, 0.01]]])  # (.1, 5), (9, 1), (0, .01)
    assert match_locations(query, key).tolist() == [[1, 2]]


def test_matching_against_a_loop() -> None:
    torch.manual_seed(0)
    query, key = torch.randn(3, 6, 10), torch.randn(3, 6, 13)
    found = match_locations(query, key)
    for n in range(3):
        for s in range(10):
            cosines = [float(F.cosine_similarity(query[n, :, s], key[n, :, t], dim=0)) for t in range(13)]
            assert found[n, s] == max(range(13), key=cosines.__getitem__)


def test_matching_follows_moved_locations() -> None:
    """The second view is the first with its locations permuted, in another brightness."""
    torch.manual_seed(0)
    features, order = torch.randn(2, 8, 12), torch.randperm(12)
    assert torch.equal(match_locations(features, 3 * features[..., order])[0], order.argsort())


def test_spread_of_even_and_of_collapsed_embeddings() -> None:
    torch.manual_seed(0)
    assert embedding_spread(torch.randn(4000, 16)).item() == pytest.approx(1, abs=0.02)
    collapsed = torch.ones(50, 16) * torch.rand(50, 1)
    assert embedding_spread(collapsed).item() < 1e-6, 'other lengths of one direction are collapsed too'
    halves = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert embedding_spread(halves).item() == pytest.approx(0.5 * math.sqrt(2))
    assert embedding_spread(torch.randn(1, 16)).item() == 0


@pytest.mark.parametrize('call', [
    lambda: negative_cosine(torch.zeros(2, 3), torch.zeros(3, 3)),
    lambda: info_nce(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(4, 2)),
    lambda: info_nce(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(4, 3), temperature=0),
    lambda: match_locations(torch.zeros(2, 3, 4), torch.zeros(2, 2, 4)),
    lambda: embedding_spread(torch.zeros(2, 3, 4)),
])
def test_wrong_shapes_are_named(call: object) -> None:
    with pytest.raises(ValueError, match=r'expected|temperature'):
        call()
