"""ClassCountHook on several ranks: one counts, all know, an error reaches all."""

from __future__ import annotations

from typing import Any

from imbdense.core.stats import ClassCounts, PriorLedger
from imbdense.mm.hooks.class_count_hook import ClassCountHook
from tests.helpers.two_ranks import run_two_ranks

COUNTS = ClassCounts(('a', 'b'), pixels=[900, 100])


class CannedCount(ClassCountHook):
    """Counts only where it is rank 0; fails there when asked to."""

    def _count(self, loader: Any, elements: list[Any], steps: list[Any]) -> tuple[ClassCounts, PriorLedger, list[str]]:
        import torch.distributed as dist

        if dist.get_rank() != 0:
            raise AssertionError('only rank 0 counts')
        if loader == 'broken':
            raise ValueError('label 7.png is broken')
        return COUNTS, PriorLedger(COUNTS.classes, COUNTS.pixels), ['Strange']


def _on_rank() -> tuple[Any, str]:
    """A good count, then a failing one."""
    counts, ledger, unknown = CannedCount()._on_rank_zero('good', [], [])
    try:
        CannedCount()._on_rank_zero('broken', [], [])
    except (ValueError, RuntimeError) as error:
        return (counts.pixels.tolist(), ledger.prior.tolist(), unknown), str(error)
    return counts, ''


def test_rank_zero_counts_for_all_and_its_error_reaches_all() -> None:
    (one, first_error), (other, second_error) = run_two_ranks(_on_rank)
    assert one == other == ([900, 100], [0.9, 0.1], ['Strange'])
    assert first_error == 'label 7.png is broken'
    assert 'rank 0: ValueError: label 7.png is broken' in second_error
