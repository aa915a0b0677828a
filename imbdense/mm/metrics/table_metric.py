"""The base of our metrics: state = integer tables, one sum over ranks, padding left out by index."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from numpy.typing import NDArray
from torch import Tensor

from imbdense.utils.distributed import gather_objects, interleave, rank_and_world, sum_over_ranks

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Tally:
    """What was counted over the whole evaluated set: summed tables and, in sample order, the records."""

    tables: dict[str, Counts]
    records: list[Any]


class TableMetric(BaseMetric):
    """A metric whose state is a dict of int64 tables.

    A subclass implements ``count`` (one sample -> tables to add and an optional small record) and ``summarize``
    (summed tables -> scalars and artefact).

    Across ranks: the names and shapes of the tables and the records are gathered once, all tables are then summed in
    one all-reduce. Integer sums are exact, so the result is the same for any number of ranks and any batch split. A
    rank without any sample takes part with zeros. Every rank computes and returns the same values.

    Padding: to give all ranks equally many samples, mmengine's ``DefaultSampler`` repeats samples at the end. Sample
    k of rank r has the place k * world + r in the data set; places >= the size of the set are repeats. The last
    sample of each rank is therefore held back until ``evaluate`` knows the size.

    Parts that were evaluated apart (tiles of a raster, machines without a common group) are put together with
    ``state_dict``, ``load_state_dict`` and ``merge``: sums of parts are the sum of the whole, exactly.

    Attributes:
        artifact: JSON-able summary of the last evaluation (NaN as None) for ``imbdense report``.
        undefined: names of the scalars that the last evaluation left out because they were NaN.
    """

    default_prefix = ''

    def __init__(self, collect_device: str = 'cpu', prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.artifact: dict[str, Any] = {}
        self.undefined: frozenset[str] = frozenset()
        self._reset()

    @abstractmethod
    def count(self, sample: Mapping[str, Any], index: int) -> tuple[dict[str, Tensor], Any]:
        """Return (int64 tables to add, record or ``None``) of one sample; ``index`` is its place in the data set."""

    @abstractmethod
    def summarize(self, tally: Tally) -> dict[str, float]:
        """Return the scalars and set ``self.artifact``."""

    @property
    def classes(self) -> list[str]:
        """Class names of the evaluated data set."""
        meta = self.dataset_meta or {}
        if not meta.get('classes'):
            raise ValueError(
                f"{type(self).__name__} needs the class names: set dataset.metainfo=dict(classes=(...)) in the config."
            )
        return list(meta['classes'])

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Count every sample of the batch; pixels are not kept."""
        rank, world = rank_and_world()
        for sample in data_samples:
            self._fold()
            self._pending = self.count(sample, self._seen * world + rank)
            self._seen += 1

    def evaluate(self, size: int) -> dict[str, float]:
        """Sum over ranks, compute, reset. **Collective**: every rank must call it.

        Args:
            size: samples in the data set; what was seen beyond it is padding.

        Raises:
            RuntimeError: no rank saw a sample.
        """
        rank, world = rank_and_world()
        excess = max(sum(gather_objects(self._seen)) - size, 0) if world > 1 else 0
        padded = excess > 0 and (self._seen - 1) * world + rank >= size
        if padded:
            self._pending = None
        self._fold()
        tally, seen, dropped = self._gather(padded)
        self._reset()
        if seen == 0:
            raise RuntimeError(
                f'{type(self).__name__}: no sample was evaluated. Is the data set empty? Look at data_root, ann_file, '
                f'img_suffix and seg_map_suffix of the evaluated data set; `imbdense check CONFIG` lists what it finds.'
            )
        if dropped < excess:
            print_log(
                f'{type(self).__name__}: {excess - dropped} samples were counted twice, because the sampler repeats '
                f'samples in another way than DefaultSampler. Use DefaultSampler for evaluation.',
                logger='current', level=30,
            )  # fmt: skip
        scalars = self.compute_metrics([tally])
        self.undefined = frozenset(map(self._named, self.undefined))
        return {self._named(name): value for name, value in scalars.items()}

    def state_dict(self) -> dict[str, Any]:
        """What was counted so far on this rank: ``tables`` (int64), ``records``, ``samples``. Goes on counting."""
        self._fold()
        return {
            'tables': {name: table.clone() for name, table in self._tables.items()},
            'records': list(self._records),
            'samples': self._seen + self._added,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Forget what was counted and take over ``state``."""
        self._reset()
        self._add(state)

    def merge(self, other: TableMetric) -> None:
        """Add what ``other`` counted; it keeps its own state.

        Samples taken over are never padding. So merge before samples of a distributed evaluation are counted here, or
        after it, in one process.
        """
        if type(other) is not type(self):
            raise TypeError(f'{type(self).__name__}: cannot merge a {type(other).__name__}.')
        self._add(other.state_dict())

    def _add(self, state: Mapping[str, Any]) -> None:
        """Add tables, records and the number of samples of a state."""
        self._fold()
        for name, table in ((name, as_table(table)) for name, table in state['tables'].items()):
            if name in self._tables and self._tables[name].shape != table.shape:
                raise ValueError(
                    f'{type(self).__name__}: table {name!r} is {tuple(table.shape)} there but '
                    f'{tuple(self._tables[name].shape)} here; both must be made with the same classes and arguments.'
                )
            self._tables[name] = self._tables[name] + table if name in self._tables else table.clone()
        self._records.extend(state['records'])
        self._added += int(state['samples'])

    def compute_metrics(self, results: list[Tally]) -> dict[str, float]:
        """Scalars of one tally; NaN (absent classes) is left out, because loggers cannot draw it."""
        scalars = self.summarize(results[0])
        self.undefined = frozenset(name for name, value in scalars.items() if np.isnan(value))
        return {name: float(value) for name, value in scalars.items() if not np.isnan(value)}

    def _named(self, name: str) -> str:
        """A name as the host gets it."""
        return f'{self.prefix}/{name}' if self.prefix else name

    def _fold(self) -> None:
        """Add the sample held back to the tables."""
        if self._pending is None:
            return
        tables, record = self._pending
        self._pending = None
        for name, table in tables.items():
            if name in self._tables:
                self._tables[name] += table
            else:
                self._tables[name] = table.clone()
        self._records.append(record)

    def _gather(self, padded: bool) -> tuple[Tally, int, int]:
        """Tables and records of all ranks, the number of samples seen, and how many were left out as padding."""
        own = {name: table.cpu().numpy() for name, table in self._tables.items()}
        shapes = {name: table.shape for name, table in own.items()}
        everyone = gather_objects((shapes, self._records, self._seen + self._added, padded))
        for other_shapes, *_ in everyone:
            for name, shape in other_shapes.items():
                own.setdefault(name, np.zeros(shape, dtype=np.int64))
        records = [record for record in interleave([item[1] for item in everyone]) if record is not None]
        tally = Tally(sum_over_ranks(own), records)
        return tally, sum(item[2] for item in everyone), sum(item[3] for item in everyone)

    def _reset(self) -> None:
        """Forget everything counted."""
        self._tables: dict[str, Tensor] = {}
        self._records: list[Any] = []
        self._pending: tuple[dict[str, Tensor], Any] | None = None
        self._seen = 0
        self._added = 0
        self.results.clear()


def as_table(values: NDArray[Any] | Tensor) -> Tensor:
    """An int64 tensor for ``count``."""
    tensor = torch.from_numpy(values) if isinstance(values, np.ndarray) else values
    return tensor.to(torch.int64)
