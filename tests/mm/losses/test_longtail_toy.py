"""What the detection losses do for rare classes: a long-tailed region task, three seeds, a short and a long schedule.

Prints a table of AP50 per frequency group. The claims tested are those that hold on every seed; what does not hold is
said in the cards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.mm.losses.bacl import ForegroundClassBalanceLoss
from imbdense.mm.losses.bags import BalancedGroupSoftmaxLoss
from imbdense.mm.losses.effective_class_margin import EffectiveClassMarginLoss
from imbdense.mm.losses.eqlv2 import EQLv2Loss
from imbdense.mm.losses.equilibrium_loss import EBLLoss
from imbdense.mm.losses.logit_adjust import LogitAdjustLoss
from imbdense.mm.losses.seesaw import SyncedSeesawLoss
from tests.mm.losses.roi_toy import NUMBERS, C, Scores, Task, average_precisions, by_group, norcal, train

pytestmark = pytest.mark.slow

SEEDS = (0, 1, 2)
SCHEDULES = {'short': 300, 'long': 1000}
COUNTS = NUMBERS.tolist()
Table = dict[tuple[str, int, str], dict[str, float]]


def softmax(logits: Tensor) -> Tensor:
    return logits.softmax(1)


def cross_entropy(pred: Tensor, target: Tensor, weight: Tensor, avg_factor: float) -> Tensor:
    return F.cross_entropy(pred, target)


def head(cls: type, **options: Any) -> tuple[Any, int, Scores]:
    """Loss, channels and scores as a box head gets them."""
    loss = cls(**options)
    return loss, loss.get_cls_channels(C), loss.get_activation


def plain(cls: type) -> tuple[Any, int, Scores]:
    """The unweighted form of a loss: the same channels and scores, nothing balanced."""
    loss, channels, scores = head(cls)
    loss.set_rebalancing(False)
    return loss, channels, scores


METHODS: dict[str, Callable[[], tuple[Any, int, Scores]]] = {
    'CE': lambda: (cross_entropy, C + 1, softmax),
    'CE + objectness': lambda: plain(SyncedSeesawLoss),  # what Seesaw builds on
    'BCE + objectness': lambda: plain(EQLv2Loss),  # what ECM, EQLv2 and FCBL build on
    'logit adjustment': lambda: (LogitAdjustLoss(class_counts=COUNTS), C + 1, softmax),
    'Seesaw': lambda: head(SyncedSeesawLoss),
    'ECM': lambda: head(EffectiveClassMarginLoss, class_counts=COUNTS),
    'EQLv2': lambda: head(EQLv2Loss),
    'EBL': lambda: head(EBLLoss),
    'FCBL': lambda: head(ForegroundClassBalanceLoss),
    'BAGS': lambda: head(BalancedGroupSoftmaxLoss, class_counts=COUNTS, group_edges=[20, 100, 500]),
}


@pytest.fixture(scope='module')
def table() -> Table:
    """(schedule, seed, method) -> AP50 per group."""
    torch.set_num_threads(1)
    found: Table = {}
    for schedule, steps in SCHEDULES.items():
        for seed in SEEDS:
            for name, make in METHODS.items():
                loss, channels, scores = make()
                task = Task(seed)
                net = train(task, loss, channels, seed, steps)
                found[schedule, seed, name] = by_group(average_precisions(task, net, scores))
                if name == 'CE':
                    found[schedule, seed, 'CE, then NorCal'] = by_group(average_precisions(task, net, norcal(0.6)))
    print_table(found)
    return found


def print_table(found: Table) -> None:
    """Mean over the seeds, and the rare group of each."""
    for schedule in SCHEDULES:
        print(f'\n{schedule} schedule, {SCHEDULES[schedule]} steps; AP50, score_thr 1e-4, 30 per image')
        print(f'{"":18}{"rare of the seeds":>24} {"rare":>6} {"common":>7} {"freq.":>6} {"all":>6}')
        for name in dict.fromkeys(key[2] for key in found):
            rows = [found[schedule, seed, name] for seed in SEEDS]
            each = ' '.join(f'{row["rare"]:7.1f}' for row in rows)
            mean = {group: sum(row[group] for row in rows) / len(rows) for group in rows[0]}
            print(f'{name:18}{each:>24} {mean["rare"]:6.1f} {mean["common"]:7.1f} {mean["frequent"]:6.1f} '
                  f'{mean["all"]:6.1f}')  # fmt: skip


def better(table: Table, method: str, than: str, group: str, schedules: tuple[str, ...] = ('short', 'long')) -> bool:
    """On every seed of the schedules."""
    return all(
        table[schedule, seed, method][group] > table[schedule, seed, than][group]
        for schedule in schedules
        for seed in SEEDS
    )


def test_logit_adjustment_raises_the_rare_classes_and_all(table: Table) -> None:
    assert better(table, 'logit adjustment', 'CE', 'rare') and better(table, 'logit adjustment', 'CE', 'all')


@pytest.mark.parametrize('method', ['ECM', 'EQLv2'])
def test_balanced_sigmoids_raise_the_rare_classes_and_all_over_plain_ones(table: Table, method: str) -> None:
    assert better(table, method, 'BCE + objectness', 'rare') and better(table, method, 'BCE + objectness', 'all')


def test_ecm_raises_the_common_classes_over_plain_sigmoids(table: Table) -> None:
    assert better(table, 'ECM', 'BCE + objectness', 'common')


def test_the_separate_objectness_of_seesaw_helps_rare_classes_in_a_short_training(table: Table) -> None:
    """Over cross-entropy. Its two factors add nothing to that here, and the long schedule evens it out."""
    for method in ('CE + objectness', 'Seesaw'):
        assert better(table, method, 'CE', 'rare', ('short',)) and better(table, method, 'CE', 'all', ('short',))


@pytest.mark.parametrize('method', ['logit adjustment', 'CE, then NorCal'])
def test_all_classes_together_do_not_lose_more_than_one_point(table: Table, method: str) -> None:
    assert all(
        table[schedule, seed, method]['all'] > table[schedule, seed, 'CE']['all'] - 1
        for schedule in SCHEDULES
        for seed in SEEDS
    )
