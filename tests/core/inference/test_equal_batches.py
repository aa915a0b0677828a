"""Batches are used only where they change no bit."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.inference.equal_batches import EqualBatches


class Recorder:
    """A network that remembers its batch sizes, and rounds differently in batches if told so."""

    def __init__(self, rounds_by_batch: bool) -> None:
        self.sizes: list[int] = []
        self.rounds_by_batch = rounds_by_batch

    def __call__(self, batch: Tensor) -> Tensor:
        self.sizes.append(batch.shape[0])
        return batch * (1 + 1e-6 * (batch.shape[0] > 1)) if self.rounds_by_batch else batch + 1


def tiles(count: int) -> list[Tensor]:
    return list(torch.arange(count * 8.0).view(count, 2, 2, 2))


def test_equal_network_runs_in_batches_after_one_probe_per_size() -> None:
    network = Recorder(False)
    batches = EqualBatches(network, 4)
    found = batches(tiles(10))
    assert torch.equal(torch.stack(found), torch.stack(tiles(10)) + 1)
    assert network.sizes == [4, 1, 1, 1, 1, 4, 4, 2, 1, 1, 2]
    network.sizes.clear()
    batches(tiles(6))
    assert network.sizes == [4, 2]


def test_unequal_network_runs_one_by_one() -> None:
    network = Recorder(True)
    batches = EqualBatches(network, 4)
    assert torch.equal(torch.stack(batches(tiles(5))), torch.stack(tiles(5)))
    assert batches.size == 1 and network.sizes == [4, 1, 1, 1, 1, 1, 1]
