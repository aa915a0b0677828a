"""Four orders of reading and the way back."""

from __future__ import annotations

import torch

from imbdense.core.scan import cross_merge, cross_scan


def test_the_four_orders_of_two_by_two() -> None:
    orders = cross_scan(torch.tensor([[1, 2], [3, 4]]).view(1, 2, 2, 1))
    assert orders.view(4, 4).tolist() == [[1, 2, 3, 4], [1, 3, 2, 4], [4, 3, 2, 1], [4, 2, 3, 1]]


def test_merging_the_untouched_scans_is_four_times_the_map() -> None:
    x = torch.randn(2, 3, 5, 4)
    orders = cross_scan(x)
    assert orders.shape == (2, 4, 15, 4) and torch.allclose(cross_merge(orders, 3, 5), 4 * x)


def test_a_single_path_comes_back_to_its_place() -> None:
    x = torch.arange(15.0).view(1, 3, 5, 1)
    orders = cross_scan(x)
    for path in range(4):
        only = torch.zeros_like(orders)
        only[:, path] = orders[:, path]
        assert torch.equal(cross_merge(only, 3, 5), x)


def test_gradient() -> None:
    x = torch.randn(1, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: cross_merge(cross_scan(z) ** 2, 2, 3), (x,))
