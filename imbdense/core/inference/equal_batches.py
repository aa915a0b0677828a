"""Batches that may not change a result: used only where they give the bits of one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class EqualBatches:
    """Run tiles through a network in batches, as long as every tile comes out as it would alone.

    Matrix and convolution libraries choose an algorithm by the shape of the batch, and another algorithm rounds
    differently. So the first batch of each size is preceded by a probe: noise of that size as one batch and one by one.
    Where a single bit differs, tiles run one by one from then on (:attr:`size` becomes 1).

    Args:
        network: (N, C, T, T) -> (N, K, T, T).
        size: tiles per batch at most.
        device: where the network lives.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], size: int, device: torch.device | str = 'cpu') -> None:
        self.network, self.size, self.device = network, size, torch.device(device)
        self._equal: set[int] = {1}

    def __call__(self, tiles: Sequence[Tensor]) -> list[Tensor]:
        """Scores (K, T, T) of each tile (C, T, T), in order."""
        found: list[Tensor] = []
        start = 0
        with torch.inference_mode():
            while start < len(tiles):
                count = min(self.size, len(tiles) - start)
                if count not in self._equal and not self._probe(count, tiles[start]):
                    self.size = count = 1
                batch = torch.stack(list(tiles[start : start + count])).to(self.device)
                found += self.network(batch).unbind(0)
                start += count
        return found

    def _probe(self, count: int, like: Tensor) -> bool:
        """Whether a batch of ``count`` tiles of noise gives the bits that its tiles give alone."""
        noise = torch.randn((count, *like.shape), generator=torch.Generator().manual_seed(count)).to(self.device)
        together = self.network(noise)
        for index in range(count):
            if not torch.equal(together[index], self.network(noise[index : index + 1])[0]):
                return False
        self._equal.add(count)
        return True
