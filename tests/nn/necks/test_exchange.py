"""Exchange between dates: by hand, an involution, the same with swapped dates, free of parameters."""

from __future__ import annotations

import pytest
import torch

from imbdense.nn.necks.exchange import exchange_dates, exchange_halves


def test_by_hand() -> None:
    a, b = torch.zeros(1, 3, 1, 4), torch.ones(1, 3, 1, 4)
    first, second = exchange_dates(a, b, 'channel')
    assert first[0, :, 0, 0].tolist() == [1, 0, 1] and second[0, :, 0, 0].tolist() == [0, 1, 0]
    first, second = exchange_dates(a, b, 'spatial')
    assert first[0, 0, 0].tolist() == [1, 0, 1, 0] and second[0, 0, 0].tolist() == [0, 1, 0, 1]
    assert exchange_dates(a, b, 'spatial', p=3)[0][0, 0, 0].tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize('kind', ['channel', 'spatial'])
@pytest.mark.parametrize('p', [1, 2, 3])
def test_twice_is_the_identity_and_swapped_dates_swap_the_result(kind: str, p: int) -> None:
    a, b = torch.randn(2, 2, 5, 7, 9)
    first, second = exchange_dates(a, b, kind, p)  # type: ignore[arg-type]
    assert not torch.equal(first, a)
    back = exchange_dates(first, second, kind, p)  # type: ignore[arg-type]
    assert torch.equal(back[0], a) and torch.equal(back[1], b)
    swapped = exchange_dates(b, a, kind, p)  # type: ignore[arg-type]
    assert torch.equal(swapped[0], second) and torch.equal(swapped[1], first)
    halves = exchange_halves(torch.cat([a, b]), kind, p)  # type: ignore[arg-type]
    assert torch.equal(halves, torch.cat([first, second]))


def test_gradients_go_where_the_features_came_from() -> None:
    a, b = torch.randn(2, 1, 4, 2, 2, dtype=torch.float64)
    torch.autograd.gradcheck(
        lambda x, y: exchange_dates(x, y, 'channel'), (a.requires_grad_(), b.requires_grad_())
    )


def test_odd_batch_is_refused() -> None:
    with pytest.raises(ValueError, match='both dates in one batch'):
        exchange_halves(torch.ones(3, 1, 2, 2), 'channel')
