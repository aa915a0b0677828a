"""Data set: windows of large rasters at two dates, with the change between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from imbdense.data.raster.labels import LabelRaster
from imbdense.data.raster.scene import SceneWindow
from imbdense.data.raster.sources import Source
from imbdense.mm.datasets.multi_source_geotiff_dataset import Config, MultiSourceGeoTIFFDataset, raster_label
from imbdense.registry import DATASETS


@DATASETS.register_module()
class BiTemporalGeoTIFFDataset(MultiSourceGeoTIFFDataset):
    """Windows of one place at two dates, with the change between them.

    As :class:`MultiSourceGeoTIFFDataset`, with ``img`` (h, w, 2 B), date by date, ``valid`` (h, w, 2), and the maps of
    :class:`imbdense.ChangePairDataset`: ``gt_seg_map`` (0 unchanged, 1 changed, 255), and with class labels
    ``gt_seg_map_t1`` and ``gt_seg_map_t2``. Both dates lie on the grid of the first and have equal bands; statistics
    are of both together. Pack samples with :class:`imbdense.PackChangeInputs`.

    Args:
        sources, second_sources: bands of the two dates.
        label, second_label: class labels of the two dates, both or none.
        change_label: the change map; ``None`` = where the class labels differ.
        metainfo: ``land_cover`` (with class labels); ``classes`` are ('unchanged', 'changed') unless given.
        grid, window, aoi, split, subset, windows, num_windows, min_valid, statistics, normalize, cache_dir, seed,
        pipeline, test_mode, lazy_init, max_refetch: as in :class:`MultiSourceGeoTIFFDataset`.
    """

    card = 'multi_source_geotiff'
    tasks = ('change_detection',)

    def __init__(
        self,
        sources: Sequence[Config],
        second_sources: Sequence[Config],
        label: Config | None = None,
        second_label: Config | None = None,
        change_label: Config | None = None,
        metainfo: Config | None = None,
        grid: Config | None = None,
        window: int | Sequence[int] = 256,
        aoi: str | None = None,
        split: Config | None = None,
        subset: str = 'train',
        windows: Config | None = None,
        num_windows: int = 10000,
        min_valid: float = 0.5,
        statistics: str | Config | None = None,
        normalize: Literal['train', 'per_scene'] = 'train',
        cache_dir: str | None = None,
        seed: int = 0,
        pipeline: Sequence[dict[str, Any] | Callable[..., Any]] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        if (label is None) != (second_label is None):
            raise ValueError(f'{type(self).__name__}: give label and second_label, or neither.')
        self._second = list(second_sources), second_label
        self.change_config = change_label
        meta = {'classes': ('unchanged', 'changed'), **dict(metainfo or {})}
        super().__init__(
            sources, label, meta, grid, window, aoi, split, subset, windows, num_windows, min_valid, statistics,
            normalize, cache_dir, seed, pipeline, test_mode, lazy_init, max_refetch,
        )  # fmt: skip

    def _dates(self, sources: Sequence[Config], label: Config | None) -> list[tuple[list[Source], Config | None]]:
        """Both dates."""
        return [([Source.of(source) for source in each], one)
                for each, one in ((sources, label), (self._second[0], self._second[1]))]

    def _label_maps(self, content: SceneWindow) -> dict[str, Any]:
        """The change map and the classes of each date."""
        names = {'change': 'gt_seg_map', 'class_1': 'gt_seg_map_t1', 'class_2': 'gt_seg_map_t2'}
        return {key: content.labels[name] for name, key in names.items() if name in content.labels}

    def _num_classes(self) -> int:
        """Number of land-cover classes."""
        classes = self.metainfo.get('land_cover') or ()
        if not classes and self.dates[0][1] is not None:
            raise ValueError(f"{type(self).__name__}: labels need metainfo=dict(land_cover=('a', 'b', ...)).")
        return len(classes)

    def _change_label(self, grid: Any) -> LabelRaster | None:
        """The change map, where there is a file of it."""
        if self.change_config is None:
            return None
        return raster_label(self.change_config, grid, len(self.metainfo['classes']))
