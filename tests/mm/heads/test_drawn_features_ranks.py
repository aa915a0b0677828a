"""Box heads that draw features, on two ranks of which one has no boxes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.distributed as dist

pytest.importorskip('mmdet.models')

from tests.helpers.two_ranks import run_two_ranks


def _train_on_rank() -> dict[str, Any]:
    """Four steps; in the second only rank 0 has boxes, in the third nobody."""
    from mmengine.model import MMDistributedDataParallel

    from tests.mm.heads.test_drawn_features import HEADS, detector
    from tests.mm.heads.tiny_detectors import WITH_BOXES, WITHOUT_BOXES, batch

    rank, results = dist.get_rank(), {}
    for name in HEADS:
        model = detector(name, 'FasterRCNN')
        parallel = MMDistributedDataParallel(model, broadcast_buffers=False, find_unused_parameters=False)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        keys = []
        for number, owners in enumerate(((0, 1), (0,), (), (0, 1))):
            boxes = WITH_BOXES if rank in owners else WITHOUT_BOXES
            losses = parallel(*batch(boxes, seed=10 * number + rank), mode='loss')
            keys.append(tuple(sorted(losses)))
            total, _ = model.parse_losses(losses)
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
        results[name] = (model.state_dict(), keys)
    return results


def test_ranks_stay_together_but_for_their_queues() -> None:
    ranks = run_two_ranks(_train_on_rank)
    for name in ranks[0]:
        (first, first_keys), (second, second_keys) = (rank[name] for rank in ranks)
        assert first_keys == second_keys and len(set(first_keys)) == 1
        norms = ('running_mean', 'running_var')
        differing = {key for key, value in first.items()
                     if not key.endswith(norms) and not torch.equal(value, second[key])}
        queue = {f'roi_head.bbox_head.drawn_from.queue.{part}' for part in ('memory', 'entered')}
        assert differing == (queue if name == 'loce' else set())
