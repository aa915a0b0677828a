"""Data set: windows of large rasters from several sources on one grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from mmengine.dataset import BaseDataset

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.data.change.spatial_blocks import SpatialBlockSplit
from imbdense.data.geotiff import Window
from imbdense.data.raster.aoi import AreaOfInterest
from imbdense.data.raster.band_stack import BandStack
from imbdense.data.raster.grid import metric_transform
from imbdense.data.raster.label_counts import count_labels
from imbdense.data.raster.labels import LabelRaster
from imbdense.data.raster.scene import RasterScene, SceneWindow
from imbdense.data.raster.sources import Source, grid_of_sources
from imbdense.data.raster.statistics import BandStatistics, read_statistics
from imbdense.data.raster.window_draws import build_sampler, draw_stream, grid_windows, window_shape
from imbdense.data.scan.cache import user_cache_dir
from imbdense.data.scan.result import ScanResult
from imbdense.registry import DATASETS

Config = Mapping[str, Any]
_REDRAWS = 20


@DATASETS.register_module()
class MultiSourceGeoTIFFDataset(BaseDataset):
    """Windows of one place from any number of rasters, formulas and terrain derivatives on one reference grid.

    Sources on the grid of ``grid['like']`` are read as they are, others are resampled while they are read (labels at
    the nearest pixel). Derivatives are computed from the elevation on the grid, never resampled. A pixel is valid where
    every band of its date is; invalid pixels have label 255 and become 0 in :class:`imbdense.NormalizeBands`.

    Training (``test_mode=False``): ``num_windows`` windows, drawn one by one as they are asked for: sample i is draw i
    of ``seed``, in any worker, on any rank and after a resume. No list of them is made, so ``num_windows`` may be
    iterations times batch size, and no window comes twice. Evaluation: windows on a fixed grid over the whole subset,
    whatever the labels. Windows of different subsets of ``split`` lie more than ``buffer`` pixels apart.

    Samples hold ``img`` (h, w, B) float32 in units of the files, ``valid`` (h, w, 1), ``nodata`` (h, w), ``bands``,
    ``band_statistics``, ``window`` (row, column, height, width), ``geotransform``, ``transform`` (the same in metres,
    for areas; ``None`` on a grid in degrees), ``gt_seg_map`` (h, w) uint8.

    Statistics are those of the valid pixels of subset 'train' alone, counted once and cached (by size, time, bands and
    split of the files). A data set without that subset takes ``statistics``, or waits for those of a checkpoint; it
    never takes its own unless ``normalize='per_scene'`` asks for it.

    Args:
        sources: configs of :class:`imbdense.data.raster.sources.Source`, in the order of the channels.
        label: ``path``, ``nodata``, ``lut`` of :class:`imbdense.data.raster.labels.LabelRaster`; ``None`` = none.
        metainfo: ``classes`` (with ``label``), ``palette``.
        grid: ``like``: key of the source whose grid counts (the first file), ``res``: other pixel size.
        window: (height, width) or one number.
        aoi: polygons (GeoJSON, GeoPackage) outside of which nothing is learned.
        split: arguments of :class:`imbdense.data.change.spatial_blocks.SpatialBlockSplit` (``shares``, ``block``,
            ``buffer``, ``seed``); ``None`` = the whole raster is the subset.
        subset: which part of the split.
        windows: ``dict(type='imbdense.RandomWindowSampler')``, ``ClassBalancedWindowSampler`` (``beta``) or
            ``ChangeAwareWindowSampler`` (``frac_change``).
        num_windows: of the training set.
        min_valid: windows with a smaller share of valid pixels inside the area are drawn again, up to 20 times.
        statistics: JSON file or content of statistics to use; ``None`` = see above.
        normalize: 'train' or 'per_scene'.
        cache_dir: where statistics are kept; ``None`` = the user's cache folder.
        seed: of the drawn windows.
        pipeline, test_mode, lazy_init, max_refetch: as in mmengine.

    Raises:
        GridMismatch, OSError: a file that cannot be read or brought to the grid; both profiles are printed.
        ValueError: an argument, band, label value or split that does not fit.
    """

    card = 'multi_source_geotiff'
    tasks: tuple[str, ...] = ('segmentation',)

    def __init__(
        self,
        sources: Sequence[Config],
        label: Config | None = None,
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
        owner = type(self).__name__
        self.dates = self._dates(sources, label)
        self.grid_config, self.aoi, self.split = dict(grid or {}), aoi, None if split is None else dict(split)
        self.window, self.subset = window_shape(window), subset
        self.num_windows = check_integer('num_windows', num_windows, low=1, owner=owner)
        self.min_valid = check_number('min_valid', min_valid, low=0, high=1, owner=owner)
        self.normalize = check_choice('normalize', normalize, ('train', 'per_scene'), owner=owner)
        self.sampler = build_sampler(None if windows is None else dict(windows))
        self.cache = Path(cache_dir) if cache_dir else user_cache_dir() / 'band_statistics'
        self.seed = check_integer('seed', seed, low=0, owner=owner)
        self.band_statistics: BandStatistics | None = None
        if statistics is not None:
            self.bind_statistics(read_statistics(statistics) if isinstance(statistics, str)
                                 else BandStatistics.from_dict(dict(statistics)))
        super().__init__(metainfo=dict(metainfo or {}), pipeline=list(pipeline), test_mode=test_mode,
                         lazy_init=lazy_init, max_refetch=max_refetch, serialize_data=False)

    def full_init(self) -> None:
        """Open the rasters, divide the place, count what is missing, place the windows."""
        if getattr(self, '_fully_initialized', False):
            return
        self.scene = self._scene()
        if self.band_statistics is None:
            self._count()
        pools = {} if self.test_mode else self.scene.pools(self.sampler.needs, self.subset)
        self.area = self.scene.area(self.window, self.subset, pools)
        self.grid_windows = grid_windows(self.area) if self.test_mode else []
        if self.test_mode and not self.grid_windows:
            raise ValueError(f'{type(self).__name__}: subset {self.subset!r} holds no window; its blocks are smaller '
                             f'than twice the buffer.')
        self._fully_initialized = True

    def bind_statistics(self, statistics: BandStatistics) -> None:
        """Use these statistics, for example those of a checkpoint."""
        self.band_statistics = statistics

    def __len__(self) -> int:
        """Windows that can be drawn, or those of the grid."""
        self.full_init()
        return len(self.grid_windows) if self.test_mode else self.num_windows

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Read a window: the record the pipeline starts with."""
        self.full_init()
        statistics = self._checked_statistics()
        if self.test_mode:
            window = self.grid_windows[idx]
            content = self.scene.read(window)
        else:
            window, content = self._drawn(int(idx))
        shape = content.valid.shape[:2]
        transform = self.scene.grid.transform
        record: dict[str, Any] = {
            'img': content.values, 'valid': content.valid, 'bands': self.scene.bands, 'num_dates': len(self.dates),
            'band_statistics': statistics, 'img_path': self.scene.files()[0], 'window': window, 'img_shape': shape,
            'ori_shape': shape, 'pad_shape': shape, 'sample_idx': int(idx), 'seg_fields': [],
            'geotransform': (transform.a, transform.b, transform.c + window[1] * transform.a, transform.d, transform.e,
                             transform.f + window[0] * transform.e),
            'transform': metric_transform(self.scene.grid, *window[:2]),
            'nodata': None if content.valid.all() else ~content.valid.all(axis=2),
        }
        for key, label in self._label_maps(content).items():
            record[key] = label
            record['seg_fields'].append(key)
        return record

    def label_scan(self) -> ScanResult:
        """Pixels of each class of ``gt_seg_map`` in the subset; a row is a block of 512 pixels. Cached.

        Raises:
            TypeError: no labels. ValueError, OSError: see :func:`imbdense.data.raster.label_counts.count_labels`.
        """
        self.full_init()
        return count_labels(self.scene, self.subset, self._counted_layer(), self._label_classes(), self.cache)

    def window_scan(self) -> ScanResult:
        """The same; a row is a window of the grid, index i of the data set. ``TypeError`` for drawn windows."""
        self.full_init()
        if not self.test_mode:
            raise TypeError(
                f'{type(self).__name__}: its training windows are drawn, one by one, so there is no table of what '
                f"each holds and no index to choose them by. Use windows=dict(type='imbdense."
                f"ClassBalancedWindowSampler') (or ChangeAwareWindowSampler) instead of a class-aware sampler or crop."
            )
        return count_labels(self.scene, self.subset, self._counted_layer(), self._label_classes(), self.cache,
                            self.grid_windows)

    def _counted_layer(self) -> str:
        """The map that ``gt_seg_map`` is."""
        if self.scene.change is None and not self.scene.covers:
            raise TypeError(f'{type(self).__name__} has no labels to count.')
        return 'class' if len(self.dates) == 1 else 'change'

    def _label_classes(self) -> tuple[str, ...]:
        """The classes of ``gt_seg_map``."""
        return tuple(self.metainfo['classes'])

    def load_data_list(self) -> list[dict[str, Any]]:
        """Nothing: windows are drawn, not listed."""
        return []

    def _dates(self, sources: Sequence[Config], label: Config | None) -> list[tuple[list[Source], Config | None]]:
        """(sources, label) of each date."""
        return [([Source.of(source) for source in sources], label)]

    def _label_maps(self, content: SceneWindow) -> dict[str, Any]:
        """Key of the sample -> label map."""
        return {'gt_seg_map': content.labels['class']} if content.labels else {}

    def _scene(self) -> RasterScene:
        """The place, with its rasters on one grid."""
        grid = grid_of_sources(self.dates[0][0], self.grid_config, type(self).__name__)
        stacks = tuple(BandStack(each, grid) for each, _ in self.dates)
        count = self._num_classes()
        covers = tuple(raster_label(label, grid, count) for _, label in self.dates if label is not None)
        aoi = None if self.aoi is None else AreaOfInterest(self.aoi, grid)
        blocks = None if self.split is None else SpatialBlockSplit(**self.split).divide((grid.height, grid.width))
        if blocks is not None and self.subset not in blocks.names:
            raise ValueError(f'{type(self).__name__}: subset {self.subset!r} is none of {list(blocks.names)}.')
        return RasterScene(grid, stacks, covers, self._change_label(grid), aoi, blocks)

    def _num_classes(self) -> int:
        """Number of label classes."""
        classes = self.metainfo.get('classes') or ()
        if not classes and any(label is not None for _, label in self.dates):
            raise ValueError(f"{type(self).__name__}: labels need metainfo=dict(classes=('a', 'b', ...)).")
        return len(classes)

    def _change_label(self, grid: Any) -> LabelRaster | None:
        """The change map of several dates."""
        return None

    def _count(self) -> None:
        """Statistics of the training subset, or of this place where that is asked for."""
        if self.normalize == 'per_scene':
            self.band_statistics = self.scene.statistics(self.subset, self._num_classes(), self.cache)
        elif self.scene.blocks is not None and 'train' in self.scene.blocks.names:
            self.band_statistics = self.scene.statistics('train', self._num_classes(), self.cache)
        elif not self.test_mode:
            self.band_statistics = self.scene.statistics(self.subset, self._num_classes(), self.cache)

    def _checked_statistics(self) -> BandStatistics:
        """Statistics of the right bands."""
        if self.band_statistics is None:
            raise ValueError(
                f'{type(self).__name__}: this data set has no training subset, and no statistics of one were given. '
                f'Load a checkpoint with imbdense.GeoStatsHook in custom_hooks, give statistics=FILE, or ask for '
                f"normalize='per_scene' (the numbers of the scene that is predicted)."
            )
        names = tuple(band.name for band in self.scene.bands)
        if self.band_statistics.bands != names:
            raise ValueError(f'{type(self).__name__}: the statistics are of the bands {self.band_statistics.bands}, '
                             f'but the data set has {names}.')
        return self.band_statistics

    def _drawn(self, draw: int) -> tuple[Window, SceneWindow]:
        """The window of a draw; of some with too few valid pixels the best."""
        rng = draw_stream(self.seed, draw)
        best: tuple[Window, SceneWindow] | None = None
        for _ in range(_REDRAWS):
            window = self.sampler.draw(self.area, rng)
            content = self.scene.read(window)
            if best is None or content.fraction > best[1].fraction:
                best = window, content
            if content.fraction >= self.min_valid:
                break
        if best is None or best[1].fraction == 0:
            raise ValueError(f'{type(self).__name__}: {_REDRAWS} windows in a row hold no valid pixel; check nodata, '
                             f'aoi and split.')
        return best


def raster_label(config: Config, grid: Any, num_classes: int) -> LabelRaster:
    """The label raster of a config."""
    try:
        return LabelRaster(grid=grid, num_classes=num_classes, **dict(config))
    except TypeError as error:
        raise ValueError(f'label: {error}; give dict(path=..., nodata=..., lut=...).') from error
