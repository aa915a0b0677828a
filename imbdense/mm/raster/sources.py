"""Models of raster data sets: the sources their config names as what is mapped, normalised as in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from mmengine.registry import TRANSFORMS
from numpy.typing import NDArray

from imbdense.data.raster.bands import Band
from imbdense.data.raster.source_stack import SourceStack
from imbdense.data.raster.sources import Source, grid_of_sources
from imbdense.data.raster.statistics import BandStatistics, read_statistics
from imbdense.mm.prior import META_KEY
from imbdense.mm.raster.loading import RESIZERS

DATASETS = ('MultiSourceGeoTIFFDataset', 'BiTemporalGeoTIFFDataset')
NORMALISERS = ('NormalizeBands',)


def source_stack(dataset: Mapping[str, Any], rasters: Sequence[str] = ()) -> SourceStack | None:
    """The sources of the config of a raster data set; ``None`` for any other data set.

    Args:
        dataset: the innermost test data set. rasters: files that take the place of the config's, one per date; none =
            those of the config.

    Raises:
        ValueError: another number of rasters than dates, or rasters for dates that are made of several files.
    """
    if str(dataset.get('type')).rsplit('.', 1)[-1] not in DATASETS:
        return None
    dates = [[Source.of(source) for source in dataset[key]] for key in ('sources', 'second_sources') if key in dataset]
    if rasters:
        files = [[source for source in sources if source.path is not None] for sources in dates]
        if len(rasters) != len(dates) or any(len(own) != 1 for own in files):
            raise ValueError(
                f'the config reads {" and ".join(str(len(own)) for own in files)} file(s) for its {len(dates)} '
                f'date(s), but {len(rasters)} raster(s) were given. Leave them out to map the files of the config; '
                f'others go into it with --cfg-options test_dataloader.dataset.sources.0.path=FILE.'
            )
        dates = [[source if source.path is None else replace(source, path=str(path)) for source in sources]
                 for sources, path in zip(dates, rasters)]
    return SourceStack(dates, grid_of_sources(dates[0], dataset.get('grid') or {}, 'test data set'))


@dataclass(frozen=True)
class SourceLoading:
    """Brings planes (D * B, T, T) of a :class:`SourceStack` into what the pipeline of the config makes of them.

    Attributes:
        dates: D. input_bands: of one date. statistics: what the values are normalised by. normalise: the step of the
            config, ``None`` = none.
        bands, fill, resizes: as of :class:`~imbdense.mm.raster.loading.TileLoading`.
    """

    dates: int
    input_bands: tuple[Band, ...]
    statistics: BandStatistics | None
    normalise: Any
    bands: tuple[int, ...] | None = None
    fill: float | None = 0.0
    resizes: bool = False

    @classmethod
    def of(cls, dataset: Mapping[str, Any], stack: SourceStack, checkpoint: Mapping[str, Any]) -> SourceLoading:
        """Find the statistics: of the checkpoint, else of the config; of the scene only if the config says so.

        Raises:
            ValueError: none are known, or those of other bands.
        """
        steps = {str(step['type']).rsplit('.', 1)[-1]: step for step in dataset['pipeline']}
        step = next((steps[name] for name in NORMALISERS if name in steps), None)
        statistics = None if step is None else _statistics(dataset, stack, checkpoint)
        if statistics is not None and list(statistics.bands) != stack.bands:
            raise ValueError(f'the model was trained with the bands {list(statistics.bands)}, but the sources give '
                             f'{stack.bands}.')
        return cls(len(stack.dates), stack.input_bands, statistics, None if step is None else TRANSFORMS.build(step),
                   resizes=any(name in RESIZERS for name in steps))

    def __call__(self, values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The tile as the pipeline would give it; 0 where its date has no data."""
        image = values.astype(np.float32).transpose(1, 2, 0)
        known = np.stack([~np.isnan(part).any(axis=2) for part in np.split(image, self.dates, axis=2)], axis=2)
        image = np.nan_to_num(image, nan=0.0)
        if self.normalise is not None:
            image = self.normalise.transform({
                'img': image, 'valid': known, 'bands': self.input_bands, 'num_dates': self.dates,
                'band_statistics': self.statistics,
            })['img']  # fmt: skip
        return np.ascontiguousarray(image.transpose(2, 0, 1))


def _statistics(dataset: Mapping[str, Any], stack: SourceStack, checkpoint: Mapping[str, Any]) -> BandStatistics:
    """What the training normalised by."""
    if dataset.get('normalize') == 'per_scene':
        return stack.statistics()
    kept = ((checkpoint.get('meta') or {}).get(META_KEY) or {}).get('band_statistics') or dataset.get('statistics')
    if kept is None:
        raise ValueError(
            'the checkpoint holds no band statistics, so nothing says how the bands were normalised in training. Train '
            'with imbdense.GeoStatsHook in custom_hooks, or give the data set statistics=FILE.'
        )
    return read_statistics(kept) if isinstance(kept, str) else BandStatistics.from_dict(kept)
