"""ChangeKinds: kinds by hand, unknown land cover, messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip('mmcv')

from imbdense.mm.transforms.change_kinds import ChangeKinds


def sample() -> dict[str, Any]:
    return {
        'num_dates': 2,
        'gt_seg_map': np.array([[0, 1, 1, 255, 1]], np.uint8),
        'gt_seg_map_t1': np.array([[1, 1, 0, 1, 255]], np.uint8),
        'gt_seg_map_t2': np.array([[1, 0, 2, 2, 1]], np.uint8),
    }


@pytest.mark.parametrize(
    ('by', 'expected'),
    [('to', [0, 1, 3, 255, 2]), ('from', [0, 2, 1, 255, 255]), ('from_to', [0, 1 + 3, 1 + 2, 255, 255])],
)
def test_kinds(by: Any, expected: list[int]) -> None:
    found = ChangeKinds(by, num_land_covers=3)(sample())['gt_seg_map']
    assert found.tolist() == [expected] and found.dtype == np.uint8


def test_messages() -> None:
    with pytest.raises(ValueError, match='needs num_land_covers'):
        ChangeKinds('from_to')
    plain = {key: value for key, value in sample().items() if not key.endswith(('t1', 't2'))}
    with pytest.raises(ValueError, match='has no land cover'):
        ChangeKinds()(plain)
