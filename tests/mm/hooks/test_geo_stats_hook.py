from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from imbdense.data.raster.statistics import BandStatistics
from imbdense.mm.hooks.geo_stats_hook import GeoStatsHook
from tests.mm.transforms.geo_samples import STATISTICS


class Rasters:
    """What the hook knows of a raster data set."""

    def __init__(self, statistics: BandStatistics | None, normalize: str = 'train') -> None:
        self.band_statistics, self.normalize = statistics, normalize

    def bind_statistics(self, statistics: BandStatistics) -> None:
        """Take them."""
        self.band_statistics = statistics


def runner(**sets: Any) -> Any:
    """A runner with loops over the data sets."""
    loops = {f'_{name}_loop': SimpleNamespace(dataloader=SimpleNamespace(dataset=data)) for name, data in sets.items()}
    return SimpleNamespace(**loops, train_dataloader=SimpleNamespace(dataset=sets.get('train')))


def test_the_statistics_of_training_go_to_the_other_sets_and_into_the_checkpoint() -> None:
    hook, val, own = GeoStatsHook(), Rasters(None), Rasters(replace(STATISTICS, pixels=7), 'per_scene')
    hook.before_train(runner(train=Rasters(STATISTICS), val=val, test=own))
    assert val.band_statistics == STATISTICS and own.band_statistics is not None and own.band_statistics.pixels == 7
    checkpoint: dict[str, Any] = {'meta': {'epoch': 1}}
    hook.before_save_checkpoint(None, checkpoint)
    assert BandStatistics.from_dict(checkpoint['meta']['imbdense']['band_statistics']) == STATISTICS


def test_a_loaded_checkpoint_decides() -> None:
    test = Rasters(replace(STATISTICS, pixels=7))
    kept = {'meta': {'imbdense': {'band_statistics': STATISTICS.to_dict()}}}
    GeoStatsHook().after_load_checkpoint(runner(test=test), kept)
    assert test.band_statistics == STATISTICS
    other = Rasters(None)
    GeoStatsHook().after_load_checkpoint(runner(test=other), {'meta': {}})
    assert other.band_statistics is None


def test_training_without_rasters_is_a_mistake() -> None:
    with pytest.raises(ValueError, match='band statistics'):
        GeoStatsHook().before_train(runner(train=Rasters(None)))
    checkpoint: dict[str, Any] = {}
    GeoStatsHook().before_save_checkpoint(None, checkpoint)
    assert checkpoint == {}
