"""``imbdense.GeoStatsHook``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import MMLogger

from imbdense.data.raster.statistics import BandStatistics
from imbdense.mm.dataset_wrappers import children
from imbdense.mm.prior import META_KEY
from imbdense.registry import HOOKS

KEY = 'band_statistics'


@HOOKS.register_module()
class GeoStatsHook(Hook):
    """Keep the band statistics of the training area in every checkpoint, and use them wherever it is loaded.

    Before training the statistics of the training data set are bound to the validation and test sets; every checkpoint
    holds them in ``meta['imbdense']['band_statistics']``. When a checkpoint is loaded, all raster data sets of the
    runner take its statistics: what a network was trained with decides, never the scene that is predicted. Data sets
    with ``normalize='per_scene'`` keep their own.

    Ranks: every rank does the same; nothing is communicated. State: none of its own.

    Raises:
        ValueError: in training, when no data set has band statistics.
    """

    card = 'multi_source_geotiff'
    tasks = ('segmentation', 'change_detection')
    priority = 'ABOVE_NORMAL'

    def __init__(self) -> None:
        self._statistics: BandStatistics | None = None

    def before_train(self, runner: Any) -> None:
        """Bind the statistics of the training data set to the others."""
        found = next((item.band_statistics for item in _raster_sets(runner.train_dataloader.dataset)
                      if item.band_statistics is not None), None)
        if found is None:
            raise ValueError('GeoStatsHook: the training data set has no band statistics; use it with '
                             'imbdense.MultiSourceGeoTIFFDataset or imbdense.BiTemporalGeoTIFFDataset.')
        self._bind(runner, found)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Put the statistics into the checkpoint."""
        if self._statistics is not None:
            checkpoint.setdefault('meta', {}).setdefault(META_KEY, {})[KEY] = self._statistics.to_dict()

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Take the statistics of the checkpoint."""
        kept = ((checkpoint.get('meta') or {}).get(META_KEY) or {}).get(KEY)
        if kept is None:
            MMLogger.get_current_instance().warning(
                'GeoStatsHook: the checkpoint holds no band statistics; the data sets use those of their config.'
            )
            return
        self._bind(runner, BandStatistics.from_dict(kept))

    def _bind(self, runner: Any, statistics: BandStatistics) -> None:
        """Give the statistics to every raster data set of the runner that is built."""
        self._statistics = statistics
        for name in ('train', 'val', 'test'):
            loop = getattr(runner, f'_{name}_loop', None)
            loader = getattr(loop, 'dataloader', None) or getattr(runner, f'_{name}_dataloader', None)
            for dataset in _raster_sets(getattr(loader, 'dataset', None)):
                if dataset.normalize != 'per_scene':
                    dataset.bind_statistics(statistics)


def _raster_sets(dataset: Any) -> Iterator[Any]:
    """The raster data sets in a data set and its wrappers."""
    if dataset is None:
        return
    inner = children(dataset)
    if not inner and hasattr(dataset, 'bind_statistics'):
        yield dataset
    for child in inner:
        yield from _raster_sets(child)
