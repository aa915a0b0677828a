"""Several tiles at once change no bit: beside each other on a CPU, in batches only where these are equal."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor, nn

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


def batches(network: Recorder, size: int) -> EqualBatches:
    """As on an accelerator, though the tensors stay here."""
    made = EqualBatches(network, 1)
    made.size = size
    return made


def test_equal_network_runs_in_batches_after_one_probe_per_size() -> None:
    network = Recorder(False)
    run = batches(network, 4)
    found = run(tiles(10))
    assert torch.equal(torch.stack(found), torch.stack(tiles(10)) + 1)
    assert network.sizes == [4, 1, 1, 1, 1, 4, 4, 2, 1, 1, 2]
    network.sizes.clear()
    run(tiles(6))
    assert network.sizes == [4, 2]


def test_unequal_network_runs_one_by_one() -> None:
    network = Recorder(True)
    run = batches(network, 4)
    assert torch.equal(torch.stack(run(tiles(5))), torch.stack(tiles(5)))
    assert run.size == 1 and network.sizes == [4, 1, 1, 1, 1, 1, 1]


def test_cpu_runs_tiles_beside_each_other() -> None:
    """Three threads meet at a barrier, which a single one could never pass; the order is kept."""
    meeting = threading.Barrier(3, timeout=30)

    def network(batch: Tensor) -> Tensor:
        assert batch.shape[0] == 1 and torch.is_inference_mode_enabled()
        meeting.wait()
        return batch * 2

    run = EqualBatches(network, 3)
    assert torch.equal(torch.stack(run(tiles(6))), 2 * torch.stack(tiles(6)))
    run.close()


@pytest.mark.parametrize('size', [2, 3])
def test_bits_of_convolutions_on_a_cpu(size: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1)).eval()
    images = list(torch.randn(5, 2, 64, 64))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    run, alone = EqualBatches(network, size), EqualBatches(network, 1)
    assert all(torch.equal(one, two) for one, two in zip(run(images), alone(images)))
    run.close()
    torch.set_num_threads(before)
