"""Units of a map: all of them, once, whatever the panels and shards."""

from __future__ import annotations

import pytest

from imbdense.data.raster.layout import BLOCK, Layout, panel_width


@pytest.mark.parametrize('panel', [512, 1024, 4096])
@pytest.mark.parametrize('shards', [1, 2, 3, 7])
def test_shards_cover_every_unit_once(panel: int, shards: int) -> None:
    layout = Layout(2000, 3000, panel)
    found = [unit for shard in range(shards) for unit in layout.units(shard, shards)]
    assert sorted(found) == sorted(layout.units()) and len(set(found)) == len(found)


def test_runs_join_consecutive_units_and_cover_them() -> None:
    layout = Layout(2000, 1500, 1024)
    todo = [(0, 0), (0, 1), (0, 3), (1, 2)]
    runs = [(run.panel, list(run.bands), run.top, run.bottom, run.left, run.right) for run in layout.runs(todo)]
    assert runs == [
        (0, [0, 1], 0, 1024, 0, 1024), (0, [3], 1536, 2000, 0, 1024), (1, [2], 1024, 1536, 1024, 1500),
    ]  # fmt: skip


def test_panel_width_fits_the_budget_in_equal_panels() -> None:
    assert panel_width(3000, 1000, 10**9) == 3072  # one panel
    width = panel_width(10_000, 1000, 4096 * 1000)
    assert width == 3584 and -(-10_000 // width) == 3  # 3 of 3,584 instead of 4,096 + 4,096 + 1,808
    assert panel_width(3000, 10**9, 1) == BLOCK  # never less than a block
    assert panel_width(3000, 1, 1, wanted=700) == 1024


def test_wrong_shard() -> None:
    with pytest.raises(ValueError, match='shard'):
        Layout(10, 10, 512).units(2, 2)
