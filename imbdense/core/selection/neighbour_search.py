"""Three ways to find the nearest rows of a table: all rows by torch, all rows by faiss, an inverted file by faiss."""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch import Tensor

from imbdense.core.selection.distances import CentreTable, origin_of
from imbdense.core.selection.feature_rows import FeatureRows

SCORE_NUMBERS = 2**22
"""Scores in one block: 16 MB."""
PROBED_LISTS = 16
TRAINING_ROWS_PER_LIST = 40


class NeighbourSearch(Protocol):
    """Finds rows near queries."""

    def __call__(self, block: Tensor, width: int, own: Tensor | None) -> Tensor:
        """Row numbers (q, >= width) int64 of the nearest rows of queries (q, D), in any order.

        ``own`` (q,) are rows that are not neighbours of their query.
        """


class ExactSearch:
    """All rows, by matrix products and a running list of the best.

    After the first block a score is looked at only if it is better than the worst one kept, which few are.
    """

    def __init__(self, rows: FeatureRows, inner: bool) -> None:
        self._rows, self._inner = rows, inner
        self._origin = origin_of(rows)

    def __call__(self, block: Tensor, width: int, own: Tensor | None) -> Tensor:
        """See :class:`NeighbourSearch`."""
        step = max(width, SCORE_NUMBERS // len(block))
        best = torch.full((len(block), width), torch.inf, device=block.device)
        index = torch.zeros((len(block), width), dtype=torch.int64, device=block.device)
        for place, base in self._rows.chunks(step):
            scores = -block @ base.t() if self._inner else CentreTable(base, self._origin).scores(block)
            if own is not None:
                inside = torch.nonzero((own >= place.start) & (own < place.stop))[:, 0]
                scores[inside, own[inside] - place.start] = torch.inf
            if place.start == 0:
                value, column = scores.topk(min(width, scores.shape[1]), dim=1, largest=False)
                best[:, : value.shape[1]], index[:, : value.shape[1]] = value, column
            else:
                _merge(scores, place.start, best, index)
        return index


def _merge(scores: Tensor, start: int, best: Tensor, index: Tensor) -> None:
    """Put the scores (q, b) of rows start ... into the lists of the best (q, w), in place."""
    row, column = _few_true(scores < best.max(1, keepdim=True).values)
    if not len(row):
        return
    counts = torch.bincount(row, minlength=len(best))
    touched = torch.nonzero(counts)[:, 0]
    slot = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
    line = torch.searchsorted(touched, row)
    width = best.shape[1]
    value = torch.full((len(touched), width + int(counts.max())), torch.inf, device=best.device)
    origin = torch.zeros(value.shape, dtype=torch.int64, device=best.device)
    value[:, :width], origin[:, :width] = best[touched], index[touched]
    value[line, width + slot], origin[line, width + slot] = scores[row, column], column + start
    kept, order = value.topk(width, dim=1, largest=False)
    best[touched], index[touched] = kept, origin.gather(1, order)


def _few_true(mask: Tensor) -> tuple[Tensor, Tensor]:
    """(rows, columns) of what is true in a mask (q, b) that is nearly all false, row by row; seen eight at a time."""
    flat = mask.flatten()
    eighths = flat[: len(flat) // 8 * 8]
    word = torch.nonzero(eighths.view(torch.int64))[:, 0]
    place, inside = torch.nonzero(eighths.view(-1, 8)[word], as_tuple=True)
    found = torch.cat([8 * word[place] + inside, len(eighths) + torch.nonzero(flat[len(eighths) :])[:, 0]])
    return found.div(mask.shape[1], rounding_mode='floor'), found % mask.shape[1]


class FlatFaiss:
    """All rows, by faiss, which holds them as float32."""

    def __init__(self, rows: FeatureRows, inner: bool) -> None:
        import faiss

        self._origin = torch.zeros(rows.dim) if inner else origin_of(rows).cpu()
        self._index = faiss.IndexFlatIP(rows.dim) if inner else faiss.IndexFlatL2(rows.dim)
        for _, block in rows.chunks(rows.chunk_rows()):
            self._index.add((block.cpu() - self._origin).numpy())

    def __call__(self, block: Tensor, width: int, own: Tensor | None) -> Tensor:
        """See :class:`NeighbourSearch`."""
        return _without_own(_searched(self._index, block.cpu() - self._origin, width, own), own).to(block.device)


class InvertedFile:
    """The lists nearest to the query, by faiss: 4 sqrt(N) lists, of which 16 are looked into.

    Rows are held with 8 bits per number. Twice as many rows as wanted are handed on, to be ordered by exact distances;
    a query whose lists hold too few rows is searched exactly.
    """

    def __init__(self, rows: FeatureRows, inner: bool) -> None:
        import faiss

        lists = int(4 * math.sqrt(len(rows)))
        self._origin = torch.zeros(rows.dim) if inner else origin_of(rows).cpu()
        self._exact = ExactSearch(rows, inner)
        metric = faiss.METRIC_INNER_PRODUCT if inner else faiss.METRIC_L2
        self._quantizer = faiss.IndexFlatIP(rows.dim) if inner else faiss.IndexFlatL2(rows.dim)
        self._index = faiss.IndexIVFScalarQuantizer(
            self._quantizer, rows.dim, lists, faiss.ScalarQuantizer.QT_8bit, metric)
        step = max(1, len(rows) // (TRAINING_ROWS_PER_LIST * lists))
        training = torch.arange(0, len(rows), step)[: TRAINING_ROWS_PER_LIST * lists]
        self._index.train((rows[training.numpy()].cpu() - self._origin).numpy())
        for _, block in rows.chunks(rows.chunk_rows()):
            self._index.add((block.cpu() - self._origin).numpy())
        self._index.nprobe = PROBED_LISTS

    def __call__(self, block: Tensor, width: int, own: Tensor | None) -> Tensor:
        """See :class:`NeighbourSearch`."""
        wanted = min(2 * width, self._index.ntotal - (own is not None))
        found = _without_own(_searched(self._index, block.cpu() - self._origin, wanted, own), own).to(block.device)
        short = torch.nonzero((found < 0).any(1))[:, 0]
        if len(short):
            found[short] = self._exact(block[short], wanted, None if own is None else own[short])
        return found


def _searched(index: Any, block: Tensor, width: int, own: Tensor | None) -> Tensor:
    """(q, width) rows, one more where a row may find itself; -1 where faiss found none."""
    return torch.from_numpy(index.search(block.numpy(), width + (own is not None))[1])


def _without_own(found: Tensor, own: Tensor | None) -> Tensor:
    """Drop each query's own row from the list, or the last one where it is not in it."""
    if own is None:
        return found
    drop = found == own.cpu()[:, None]
    drop[:, -1] |= ~drop.any(1)
    return found[~drop].view(len(found), -1)
