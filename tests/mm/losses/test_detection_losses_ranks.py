"""Statistics of the detection losses on two ranks: ours are those of the joined batch, mmdet's are not."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from imbdense.mm.losses.bacl import ForegroundClassBalanceLoss
from imbdense.mm.losses.effective_class_margin import EffectiveClassMarginLoss
from imbdense.mm.losses.eqlv2 import EQLv2Loss
from imbdense.mm.losses.equilibrium_loss import EBLLoss
from imbdense.mm.losses.seesaw import SyncedSeesawLoss
from tests.helpers.two_ranks import run_two_ranks
from tests.mm.losses.detection_cases import C, make, rois

pytest.importorskip('mmdet')

SHARED = [EQLv2Loss, EBLLoss, ForegroundClassBalanceLoss, SyncedSeesawLoss, EffectiveClassMarginLoss]


def _states(rank: int | None) -> dict[str, dict[str, list[float]]]:
    """States after three steps of one rank, or of both ranks' regions joined."""
    found = {}
    for cls in SHARED:
        loss = make(cls)
        channels = loss.get_cls_channels(C)
        for step in range(3):
            batches = [rois(channels, 2 * step + r, 40 + 8 * r) for r in ((0, 1) if rank is None else (rank,))]
            loss(torch.cat([b[0] for b in batches]), torch.cat([b[1] for b in batches]))
        found[cls.__name__] = {key: value.tolist() for key, value in loss.state_dict().items()}
    return found


def _on_this_rank() -> dict[str, Any]:
    import torch.distributed as dist
    from mmdet.models.losses import SeesawLoss as HostSeesaw

    host = HostSeesaw(num_classes=C)
    for step in range(3):
        host(*rois(C + 2, 2 * step + dist.get_rank(), 40 + 8 * dist.get_rank()))
    return {'ours': _states(dist.get_rank()), 'host': host.cum_samples[:C].tolist()}


def test_two_ranks_hold_what_one_process_gathers_from_the_joined_batch() -> None:
    one, other = run_two_ranks(_on_this_rank)
    joined = _states(None)
    assert one['ours'] == other['ours']
    for name, state in joined.items():
        for key, value in state.items():
            found = torch.tensor(one['ours'][name][key], dtype=torch.float64)
            expected = torch.tensor(value, dtype=torch.float64)
            if name in ('SyncedSeesawLoss', 'EffectiveClassMarginLoss'):
                assert torch.equal(found, expected), (name, key)
            else:
                assert torch.allclose(found, expected, rtol=1e-5), (name, key)
    counts = joined['SyncedSeesawLoss']['running.counts']
    assert one['host'] != other['host'] and counts not in (one['host'], other['host'])  # mmdet counts per rank
    assert [a + b for a, b in zip(one['host'], other['host'], strict=True)] == counts
