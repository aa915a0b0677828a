"""Self-training on real images, three seeds: what the adjustment does to the rare class. Long."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('mmseg')

from imbdense.utils.paths import configs_dir
from tests.integration.dubai_rounds import main

DATA = configs_dir().parent / 'data' / 'dubai_aerial'


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason='imbdense prepare dubai_aerial')
def test_dubai_rounds(tmp_path: Path) -> None:
    """Without threshold there are fewer pseudo pixels of the rare class without the adjustment than with it, and a
    round with it is better there than the base in the mean."""
    found = main([str(DATA), str(tmp_path), '--seeds', '0', '1', '2'])
    for seed, facts in found.items():
        assert facts['none_tau0_rare_pixels'] < facts['none_tau1_rare_pixels'], (seed, facts)
    base, trained = (np.mean([facts[f'{what}_rare_IoU'] for facts in found.values()]) for what in ('base', 'round'))
    assert trained > base, (base, trained)
