"""Two ranks, one without boxes: nobody waits for ever, and weights and ratios stay equal."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.distributed as dist

pytest.importorskip('mmdet.models')

from tests.helpers.two_ranks import run_two_ranks

NAMES = ('fovea', 'fcos', 'atss', 'retina', 'yolo', 'FasterRCNN')


def _train_on_rank() -> dict[str, tuple[dict[str, Any], list[list[str]]]]:
    """Four steps of each detector; in the second only rank 0 has boxes, in the third nobody."""
    from mmengine.model import MMDistributedDataParallel

    from tests.mm.heads.test_sampling_free_heads import config_of
    from tests.mm.heads.tiny_detectors import WITH_BOXES, WITHOUT_BOXES, batch, build

    rank, results = dist.get_rank(), {}
    for name in NAMES:
        model = build(config_of(name))
        parallel = MMDistributedDataParallel(model, broadcast_buffers=False, find_unused_parameters=False)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        keys = []
        for step, owners in enumerate(((0, 1), (0,), (), (0, 1))):
            boxes = WITH_BOXES if rank in owners else WITHOUT_BOXES
            losses = parallel(*batch(boxes, seed=10 * step + rank), mode='loss')
            keys.append(sorted(losses))
            total, _ = model.parse_losses(losses)
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
        results[name] = (model.state_dict(), keys)
    return results


@pytest.fixture(scope='module')
def on_two_ranks() -> list[Any]:
    """One start of two processes for all detectors."""
    return run_two_ranks(_train_on_rank)


@pytest.mark.parametrize('name', NAMES)
def test_ranks_stay_together(name: str, on_two_ranks: list[Any]) -> None:
    (first, first_keys), (second, second_keys) = (rank[name] for rank in on_two_ranks)
    assert first_keys == second_keys and len({tuple(keys) for keys in first_keys}) == 1
    assert all(torch.isfinite(value).all() for value in first.values())
    own = ('running_mean', 'running_var')  # batch norm of each rank's own images
    differing = [key for key, value in first.items() if not key.endswith(own) and not torch.equal(value, second[key])]
    assert not differing
    updates = [value for key, value in first.items() if key.endswith('balancer.num_updates') and 'roi' not in key]
    assert [int(value) for value in updates] == [3]
