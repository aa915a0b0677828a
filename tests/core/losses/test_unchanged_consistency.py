"""Land cover that should agree where nothing changed: three forms."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import unchanged_consistency_loss
from imbdense.core.losses.unchanged_consistency import KINDS
from tests.core.losses.change_cases import change_example

each = pytest.mark.parametrize('kind', KINDS)


def test_hand_example() -> None:
    """One unchanged, one changed pixel; p1 = (.8, .2), p2 = (.6, .4): squares .04."""
    first, second = (torch.tensor(p).log().view(1, 2, 1, 1).expand(1, 2, 1, 2) for p in ([0.8, 0.2], [0.6, 0.4]))
    change = torch.tensor([[[0, 1]]])
    cosine = (0.48 + 0.08) / (0.68 * 0.52) ** 0.5
    expected = {'mse': 0.08 / 4, 'mse_both': (0.08 + 2 * 0.96) / 4, 'cosine': (1 - cosine + cosine) / 2}
    for kind, value in expected.items():
        assert unchanged_consistency_loss(first, second, change, kind=kind).item() == pytest.approx(value, rel=1e-5)


def test_cosine_is_the_cosine_embedding_loss() -> None:
    _, (first, second), change, _ = change_example(ignored=0.0)
    rows = [z.softmax(1).movedim(1, -1).flatten(0, -2) for z in (first, second)]
    expected = F.cosine_embedding_loss(*rows, 1 - 2 * change.flatten().float())
    loss = unchanged_consistency_loss(first, second, change, kind='cosine')
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_mse_is_that_of_the_masked_probabilities() -> None:
    _, (first, second), change, _ = change_example()
    mask = (change == 0).float().unsqueeze(1)
    expected = F.mse_loss(mask * first.softmax(1), mask * second.softmax(1))
    assert unchanged_consistency_loss(first, second, change).item() == pytest.approx(expected.item(), rel=1e-5)


@each
def test_gradient_and_ignored_pixels(kind: str) -> None:
    _, (first, second), change, _ = change_example(dtype=torch.float64, ignored=0.3, shape=(1, 4, 3))
    assert torch.autograd.gradcheck(lambda a, b: unchanged_consistency_loss(a, b, change, kind=kind), (first, second))
    unchanged_consistency_loss(first, second, change, kind=kind).backward()
    assert (first.grad.movedim(1, -1)[change == 255] == 0).all()


@each
def test_nothing_known_is_zero_with_a_graph_and_autocast_is_exact(kind: str) -> None:
    _, (first, second), change, _ = change_example()
    loss = unchanged_consistency_loss(first, second, torch.full_like(change, 255), kind=kind)
    loss.backward()
    assert loss == 0 and (first.grad == 0).all()
    exact = unchanged_consistency_loss(first, second, change, kind=kind)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(unchanged_consistency_loss(first, second, change, kind=kind), exact)


def test_equal_dates_cost_nothing_where_unchanged() -> None:
    _, (first, _), change, _ = change_example()
    for kind in ('mse', 'cosine'):
        assert unchanged_consistency_loss(first, first, change * 0, kind=kind).item() == pytest.approx(0, abs=1e-6)
