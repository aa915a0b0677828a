"""The collapse alarm: strikes, warning, cut, recovery, resume."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import torch
from torch import nn

from imbdense.core.stats import ClassCounts, RunningClassStats
from imbdense.mm.prior import HUB_COUNTS
from imbdense.registry import HOOKS


class Labels(nn.Module):
    """Counts pseudo-labels of three classes."""

    def __init__(self) -> None:
        super().__init__()
        self.pseudo_counts = RunningClassStats(3)
        self.register_buffer('threshold_cut', torch.ones(3))

    def see(self, *numbers: int) -> None:
        self.pseudo_counts.update(torch.repeat_interleave(torch.arange(3), torch.tensor(numbers)))


def runner(model: nn.Module, **info: Any) -> Any:
    return SimpleNamespace(model=model, iter=0, message_hub=SimpleNamespace(runtime_info=info), _resume=True)


def run(hook: Any, where: Any, looks: list[tuple[int, int, int]]) -> list[str]:
    """One look per entry; the warnings."""
    with mock.patch('imbdense.mm.hooks.rare_collapse_hook.MMLogger') as logger:
        for numbers in looks:
            where.model.see(*numbers)
            hook.after_train_iter(where, 0)
            where.iter += 1
        return [call.args[0] for call in logger.get_current_instance().warning.call_args_list]


def build(**options: Any) -> Any:
    return HOOKS.build(dict(type='imbdense.RareCollapseHook', interval=1, target=[80, 15, 5], **options))


def test_five_looks_below_a_fifth_of_the_target_warn_and_cut() -> None:
    """Class 2 should have 5 %: with 0.9 % it starves, with 1.1 % it does not."""
    hook, where = build(cut=0.1), runner(Labels())
    hook.before_train(where)
    assert run(hook, where, [(850, 141, 9)] * 4) == []
    warnings = run(hook, where, [(850, 141, 9)])
    assert len(warnings) == 1 and '2: 0.9 % instead of 5 %' in warnings[0] and 'x 0.9' in warnings[0]
    assert where.model.threshold_cut.tolist() == pytest.approx([1, 1, 0.9])
    assert len(run(hook, where, [(850, 141, 9)] * 10)) == 2
    assert where.model.threshold_cut[2].item() == pytest.approx(0.9**3)
    assert run(build_started(where), where, [(850, 139, 11)] * 12) == []


def build_started(where: Any, **options: Any) -> Any:
    hook = build(**options)
    hook.before_train(where)
    return hook


def test_a_good_look_in_between_begins_anew() -> None:
    where = runner(Labels())
    hook = build_started(where)
    assert run(hook, where, [(99, 1, 0)] * 4 + [(80, 15, 5)] + [(99, 1, 0)] * 4) == []


def test_nothing_accepted_at_all_is_told_in_one_warning() -> None:
    where = runner(Labels())
    warnings = run(build_started(where, patience=3), where, [(0, 0, 0)] * 3)
    assert len(warnings) == 1 and 'no pseudo-label at all' in warnings[0]


def test_the_cut_ends_somewhere_and_without_it_nothing_changes() -> None:
    where = runner(Labels())
    run(build_started(where, cut=0.5, least_cut=0.6, patience=1), where, [(9, 1, 0)] * 4)
    assert where.model.threshold_cut.tolist() == pytest.approx([1, 1, 0.6])
    where = runner(Labels())
    assert run(build_started(where, patience=1), where, [(9, 1, 0)]) and where.model.threshold_cut.tolist() == [1, 1, 1]


def test_resuming_goes_on_with_the_strikes() -> None:
    where = runner(Labels())
    hook = build_started(where)
    run(hook, where, [(99, 1, 0)] * 3)
    checkpoint: dict[str, Any] = {'meta': {}}
    hook.before_save_checkpoint(where, checkpoint)
    resumed = build()
    resumed.after_load_checkpoint(where, checkpoint)
    resumed.before_train(where)
    assert len(run(resumed, where, [(99, 1, 0)] * 2)) == 1


def test_target_from_the_counted_labels_and_mistakes() -> None:
    counts = ClassCounts(classes=('a', 'b', 'mast'), pixels=torch.tensor([80, 15, 5]).numpy())
    hook = HOOKS.build(dict(type='imbdense.RareCollapseHook', interval=1, patience=1))
    where = runner(Labels(), **{HUB_COUNTS: counts.to_dict()})
    hook.before_train(where)
    assert 'mast: 0 % instead of 5 %' in run(hook, where, [(85, 15, 0)])[0]
    with pytest.raises(ValueError, match='ClassCountHook'):
        hook.before_train(runner(Labels()))
    with pytest.raises(ValueError, match='counts pseudo-labels'):
        build().before_train(runner(nn.Conv2d(1, 1, 1)))
    with pytest.raises(ValueError, match='the target has 2 classes'):
        HOOKS.build(dict(type='imbdense.RareCollapseHook', target=[1, 1])).before_train(runner(Labels()))
