"""A decode head corrected by its regions, on two ranks of which one has nothing but ignored pixels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.distributed as dist

pytest.importorskip('mmseg.models')

from tests.helpers.two_ranks import run_two_ranks


def _train_on_rank() -> Any:
    """Three steps; in the second everything of rank 1 is ignored."""
    from mmengine.model import MMDistributedDataParallel
    from mmengine.registry import DefaultScope

    from tests.mm.heads.test_region_rebalance_head import sample, segmentor

    with DefaultScope.overwrite_default_scope('mmseg'):
        model = segmentor().train()
    parallel = MMDistributedDataParallel(model, broadcast_buffers=False, find_unused_parameters=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    keys = []
    for step in range(3):
        generator = torch.Generator().manual_seed(10 * step + dist.get_rank())
        samples = sample(255 if step == 1 and dist.get_rank() == 1 else None)[1]
        losses = parallel(torch.randn(2, 3, 16, 16, generator=generator), samples, mode='loss')
        keys.append(sorted(losses))
        total, _ = model.parse_losses(losses)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return model.state_dict(), keys


def test_two_ranks() -> None:
    (first, first_keys), (second, second_keys) = run_two_ranks(_train_on_rank)
    norms = ('running_mean', 'running_var')
    assert first_keys == second_keys
    assert not [key for key, value in first.items() if not key.endswith(norms) and not torch.equal(value, second[key])]
