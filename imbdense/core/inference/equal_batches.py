"""Several tiles at once without changing a bit: beside each other on a CPU, in batches on an accelerator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor


class EqualBatches:
    """Run tiles through a network so that every tile comes out as it would alone.

    Matrix and convolution libraries choose an algorithm by the shape of the batch and by the number of threads, and
    another algorithm rounds differently. On a CPU each tile therefore has one thread to itself, and ``size`` tiles run
    beside each other (the caller sets ``torch.set_num_threads(1)``). On an accelerator ``size`` tiles form a batch, but
    the first batch of each size is preceded by a probe: noise of that size as one batch and one by one. Where a single
    bit differs, tiles run one by one from then on (:attr:`size` becomes 1).

    Args:
        network: (N, C, T, T) -> (N, K, T, T). size: tiles at once at most. device: where the network lives.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], size: int, device: torch.device | str = 'cpu') -> None:
        self.network, self.size, self.device = network, size, torch.device(device)
        self._equal: set[int] = {1}
        beside = self.device.type == 'cpu' and size > 1
        self._pool = ThreadPoolExecutor(size, thread_name_prefix='tile') if beside else None

    def __call__(self, tiles: Sequence[Tensor]) -> list[Tensor]:
        """Scores (K, T, T) of each tile (C, T, T), in order."""
        if self._pool is not None:
            return list(self._pool.map(self._alone, tiles))
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

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def _alone(self, tile: Tensor) -> Tensor:
        """Scores of one tile; the mode of inference belongs to a thread."""
        with torch.inference_mode():
            return self.network(tile[None].to(self.device))[0]

    def _probe(self, count: int, like: Tensor) -> bool:
        """Whether a batch of ``count`` tiles of noise gives the bits that its tiles give alone."""
        noise = torch.randn((count, *like.shape), generator=torch.Generator().manual_seed(count)).to(self.device)
        together = self.network(noise)
        for index in range(count):
            if not torch.equal(together[index], self.network(noise[index : index + 1])[0]):
                return False
        self._equal.add(count)
        return True
