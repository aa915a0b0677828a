"""Two ranks: parts of the model are frozen and samplers change while the wrapper for several ranks is at work."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip('mmengine')

from imbdense.mm.checkpoints import load_checkpoint
from tests.helpers.two_ranks import run_two_ranks
from tests.mm.hooks.phase_run import seen, train
from tests.mm.hooks.test_deferred_rebalance_hook import TWO_PHASE, phases

STAGE2 = [{'type': 'imbdense.DecoupledStage2Hook', 'mode': 'lws', 'trainable': ['head']}]


def train_on_rank(folder: str) -> dict[str, tuple[list[list[int]], dict[str, torch.Tensor], str]]:
    """Per run: indices of this rank, weights at the end, what the model is wrapped in."""
    results = {}
    for name, hooks, load_from in (('phases', phases(**TWO_PHASE), None), ('stage2', STAGE2, 'phases/iter_40.pth')):
        start = None if load_from is None else str(Path(folder) / load_from)
        run = train(Path(folder) / name, hooks, launcher='pytorch', interval=24, load_from=start)
        state = {key: value.clone() for key, value in run.model.module.state_dict().items()}
        results[name] = [step['indices'] for step in seen(run)], state, type(run.model).__name__
    return results


def test_two_ranks_freeze_and_change_the_sampler_together(tmp_path: Path) -> None:
    one, two = run_two_ranks(train_on_rank, str(tmp_path))
    for name in ('phases', 'stage2'):
        (first, weights, wrapper), (second, others, _) = one[name], two[name]
        assert wrapper == 'MMDistributedDataParallel' and len(first) == len(second) == 40
        for key, value in weights.items():
            assert 'running' in key or torch.equal(value, others[key]), key
    first, second = one['phases'][0], two['phases'][0]
    natural = [i for pair in zip(first[24:27], second[24:27]) for part in pair for i in part]
    assert len(set(natural)) == len(natural) == 24, 'the ranks draw different images'
    frozen = load_checkpoint(tmp_path / 'phases' / 'iter_24.pth')['state_dict']['backbone.0.weight']
    assert torch.equal(frozen, one['phases'][1]['backbone.0.weight'])
    assert torch.equal(frozen, one['stage2'][1]['backbone.0.weight'])
    assert not torch.equal(one['stage2'][1]['head.class_scale'], torch.ones(3))
