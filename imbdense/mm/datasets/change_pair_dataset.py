"""Data set: images of one place at two or more dates, with the change between them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_choice
from imbdense.core.stats import ImageClassTable
from imbdense.data.change.layout import GREY_MASK, FormatSegMap, change_label_map, read_pair_record
from imbdense.data.change.pairs import PairFiles, PairFolders, list_pairs
from imbdense.data.change.transitions import TransitionCounts, count_transitions
from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.labels import LabelFormat
from imbdense.data.readers.palettes import colour_table
from imbdense.mm.datasets.seg_folder_dataset import SegFolderDataset
from imbdense.registry import DATASETS

Mode = Literal['binary', 'semantic', 'direct']
SampleBy = Literal['change', 'transition']
Prefix = Mapping[str, str | Sequence[str] | None]


@DATASETS.register_module()
class ChangePairDataset(SegFolderDataset):
    """Pairs (or longer series) of images with a change map and, for semantic change, the land cover of each date.

    The layout that ``imbdense prepare`` writes needs ``data_root`` and a split file only: ``t1/``, ``t2/``,
    ``label_change/`` and, with land cover, ``label_t1/``, ``label_t2/``; classes and colours are in ``dataset.json``.
    Other layouts name their folders in ``data_prefix`` as open-cd does: ``img_path_from``, ``img_path_to``,
    ``seg_map_path``, ``seg_map_path_from``, ``seg_map_path_to``. For more than two dates ``img_path`` is a list of
    folders, one per date, and so is ``seg_map_path_dates``.

    * ``'binary'``: the change map alone, classes unchanged and changed.
    * ``'semantic'``: the same, and the land cover at every date (``metainfo['land_cover']`` names its S classes).
    * ``'direct'``: the change map holds kinds of change, ``metainfo['classes']`` with 0 = unchanged. The other modes
      read such a map of the standard layout as changed wherever it is not 0.

    Statistics, samplers and ``imbdense.ClassCountHook`` see the classes of the change map, counted through the scan
    cache; ``imbdense stats`` counts the transitions between land covers as well, and with ``sample_by='transition'``
    the samplers balance those.

    Args:
        data_root: joined in front of ``ann_file`` and ``data_prefix``.
        ann_file: split file: one name per line, or images, change map and land cover in 3 or 5 columns; '' = all.
        data_prefix: folders, see above; ``None`` = the standard layout.
        metainfo: ``classes``, ``palette``, ``land_cover``, ``land_cover_palette``; what is missing comes from
            ``dataset.json``.
        mode: see above; ``None`` = 'direct' where there are more than two classes, 'semantic' where land cover is
            known, else 'binary'.
        sample_by: what image samplers balance: the classes of the change map, or the transitions between land covers
            (and "unchanged").
        format_seg_map: how the change map's numbers become classes. ``None``: as they are, 255 = ignored;
            ``'to_binary'``: 0 unchanged, 1 or 255 changed, anything else is an error; ``'threshold'``: above 127 is
            changed (masks saved with loss).
        reduce_semantic_zero_label: 0 in the land-cover maps is "unchanged" or "unlabelled": 0 -> ignored, k -> k - 1.
        land_cover_colors: (red, green, blue) of each land cover, where its maps are colour pictures.
        unlabeled_colors: colours in them that are ignored.
        img_suffix, seg_map_suffix, pipeline, indices, test_mode, serialize_data, lazy_init, max_refetch: as in
            :class:`SegFolderDataset`.

    Raises:
        LabelReadError: a folder, split file, image or label is missing; the message names it.
        ValueError: 'semantic' without land cover or its folders, 'direct' without classes, more than two classes in
            another mode.
    """

    card = 'change_data'
    tasks = ('change_detection',)

    def __init__(
        self,
        data_root: str | None = None,
        ann_file: str = '',
        data_prefix: Prefix | None = None,
        metainfo: Mapping[str, Any] | None = None,
        mode: Mode | None = None,
        sample_by: SampleBy = 'change',
        format_seg_map: FormatSegMap | None = None,
        reduce_semantic_zero_label: bool = False,
        land_cover_colors: Sequence[Sequence[int]] | None = None,
        unlabeled_colors: Sequence[Sequence[int]] = (),
        img_suffix: str = '',
        seg_map_suffix: str = '',
        pipeline: Sequence[dict[str, Any] | Callable[..., Any]] = (),
        indices: int | Sequence[int] | None = None,
        test_mode: bool = False,
        serialize_data: bool = True,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        meta = _merged_meta(read_pair_record(data_root), dict(metainfo or {}))
        self.mode = self._checked_mode(mode, meta)
        kinds = len(meta.get('classes') or ())
        if self.mode != 'direct' and kinds != 2:
            if kinds and 'classes' in dict(metainfo or {}):
                raise ValueError(f"{type(self).__name__}: {kinds} classes of the change map need mode='direct'.")
            meta.update(classes=('unchanged', 'changed'), palette=[[0, 0, 0], [255, 255, 255]])
        self.sample_by = check_choice('sample_by', sample_by, get_args(SampleBy), owner=type(self).__name__)
        if self.sample_by == 'transition' and self.mode != 'semantic':
            raise ValueError(f"{type(self).__name__}: sample_by='transition' needs land cover (mode='semantic').")
        folders = _folders(data_prefix, self.mode)
        self.num_dates = sum(key.startswith('img_path') for key in folders)
        self._transition_pixels: NDArray[np.int64] | None = None
        self.change_map = change_label_map(format_seg_map)
        if self.mode != 'direct' and kinds > 2 and self.change_map is None:
            self.change_map = dict.fromkeys(range(1, kinds), 1)
        self.land_cover_format = self._land_cover_format(
            meta, reduce_semantic_zero_label, land_cover_colors, unlabeled_colors
        )
        palette = GREY_MASK if format_seg_map == 'to_binary' else ()
        self.change_format = LabelFormat.of(meta.get('classes') or (), label_map=self.change_map, palette=palette)
        super().__init__(
            metainfo=meta,
            data_root=data_root,
            data_prefix=folders,
            ann_file=ann_file,
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            pipeline=pipeline,
            indices=indices,
            test_mode=test_mode,
            serialize_data=serialize_data,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """One record per pair, sorted by name or in the order of the split file."""
        split = self.ann_file if self.ann_file and not os.path.isdir(self.ann_file) else None
        faults: list[LabelReadError] = []
        pairs = list_pairs(self.pair_folders, split, faults)
        if faults:
            raise _all_missing(faults)
        return [
            {
                'img_path': files.images[0],
                'img_paths': list(files.images),
                'img_path_from': files.images[0],
                'img_path_to': files.images[-1],
                'seg_map_path': files.change,
                **({'land_cover_paths': list(files.land_cover), 'seg_map_path_from': files.land_cover[0],
                    'seg_map_path_to': files.land_cover[-1]} if files.land_cover else {}),
                'num_dates': self.num_dates,
                'label_map': self.change_map,
                'reduce_zero_label': False,
                'seg_fields': [],
            }
            for files in pairs
        ]  # fmt: skip

    def full_init(self) -> None:
        """Load the list; count the transitions when the pipeline wants them."""
        known = self._fully_initialized
        super().full_init()
        names = [type(transform).__name__ for transform in self.pipeline.transforms]
        if not known and not self.test_mode and self.mode == 'semantic' and 'ChangeAwareCrop' in names:
            self._transition_pixels = self.transitions().matrix.ravel()

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The record of a pair, with the formats of its label maps, and ``transition_pixels`` (S * S,) of the data set
        where the pipeline wants them."""
        record = super().get_data_info(idx)
        record['change_format'], record['land_cover_format'] = self.change_format, self.land_cover_format
        record['change_mode'] = self.mode
        if self._transition_pixels is not None:
            record['transition_pixels'] = self._transition_pixels
        return record

    def transitions(self) -> TransitionCounts:
        """Pixels of every transition between land covers in every pair; row i is pair i (cached beside the labels).

        Raises:
            ValueError: no land cover. LabelReadError: a broken label map.
        """
        if self.land_cover_format is None:
            raise ValueError(f'{type(self).__name__}: transitions need land cover, but the mode is {self.mode!r}.')
        infos = [super(ChangePairDataset, self).get_data_info(index) for index in range(len(self))]
        pairs = [PairFiles(tuple(i['img_paths']), i['seg_map_path'], tuple(i['land_cover_paths'])) for i in infos]
        return count_transitions(
            pairs, self.change_format, self.land_cover_format, root=self.data_prefix.get('seg_map_path')
        )

    def sampling_table(self) -> tuple[ImageClassTable, list[str]] | None:
        """What image samplers balance, and its names; ``None`` = the classes of the change map."""
        if self.sample_by == 'change':
            return None
        found = self.transitions()
        return found.table(), found.names

    @property
    def pair_folders(self) -> PairFolders:
        """The folders of the images and labels."""
        prefix = self.data_prefix
        return PairFolders(
            tuple(folder for key, folder in prefix.items() if key.startswith('img_path')),
            prefix.get('seg_map_path'),
            tuple(folder for key, folder in prefix.items() if key.startswith('seg_map_path_')),
            self.img_suffix,
            self.seg_map_suffix,
        )

    def _checked_mode(self, mode: Mode | None, meta: Mapping[str, Any]) -> Mode:
        """The mode, and whether the classes fit it."""
        name = type(self).__name__
        if mode is None:
            if len(meta.get('classes') or ()) > 2:
                return 'direct'
            return 'semantic' if meta.get('land_cover') else 'binary'
        check_choice('mode', mode, get_args(Mode), owner=name)
        if mode == 'semantic' and not meta.get('land_cover'):
            raise ValueError(f"{name}: mode='semantic' needs metainfo=dict(land_cover=('a', 'b', ...)).")
        if mode == 'direct' and not meta.get('classes'):
            raise ValueError(f"{name}: mode='direct' needs the kinds of change, metainfo=dict(classes=(...)).")
        return mode

    def _land_cover_format(
        self,
        meta: Mapping[str, Any],
        reduce_zero: bool,
        colors: Sequence[Sequence[int]] | None,
        unlabeled: Sequence[Sequence[int]],
    ) -> LabelFormat | None:
        """How the land-cover maps are read; ``None`` where the mode has none."""
        if self.mode != 'semantic':
            return None
        names = tuple(map(str, meta['land_cover']))
        if colors is not None and len(colors) != len(names):
            raise ValueError(f'{type(self).__name__}: {len(colors)} land_cover_colors for {len(names)} land covers.')
        palette = () if colors is None else colour_table(colors, unlabeled)
        return LabelFormat.of(names, reduce_zero_label=reduce_zero, palette=palette)


def _all_missing(faults: Sequence[LabelReadError]) -> LabelReadError:
    """The first missing file, and how many more there are."""
    first = faults[0]
    more = '' if len(faults) == 1 else f' {len(faults) - 1} more files are missing, for example {faults[1].path}.'
    return LabelReadError(first.path, first.code, f'{first.problem}{more}', first.cure)


def _merged_meta(record: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """``dataset.json`` under what the config says; colours of classes that the config replaces do not stay."""
    for names, colours in (('classes', 'palette'), ('land_cover', 'land_cover_palette')):
        if names in given:
            record.pop(colours, None)
    return {**record, **given}


def _folders(prefix: Prefix | None, mode: str) -> dict[str, str]:
    """``img_path_t1`` ..., ``seg_map_path`` and ``seg_map_path_t1`` ... of any spelling of ``data_prefix``."""
    semantic = mode == 'semantic'
    given = dict(prefix) if prefix else {
        'img_path': ('t1', 't2'), 'seg_map_path': 'label_change', 'seg_map_path_dates': ('label_t1', 'label_t2')
    }  # fmt: skip
    images, covers = given.pop('img_path', None), given.pop('seg_map_path_dates', None)
    pair = [given.pop(f'img_path_{end}', None) for end in ('from', 'to')]
    pair_covers = [given.pop(f'seg_map_path_{end}', None) for end in ('from', 'to')]
    images = pair if images is None else images
    covers = covers or ([] if None in pair_covers else pair_covers)
    change = given.pop('seg_map_path', None)
    if given or isinstance(images, str) or not all(images) or len(images) < 2 or (semantic and not covers):
        raise ValueError(
            f'ChangePairDataset: data_prefix needs img_path_from and img_path_to (or img_path, a list of one folder '
            f'per date), seg_map_path, and for land cover seg_map_path_from and seg_map_path_to (or '
            f'seg_map_path_dates); it is {dict(prefix or {})}.'
        )
    found = {f'img_path_t{date}': str(folder) for date, folder in enumerate(images, 1)}
    if change:
        found['seg_map_path'] = str(change)
    if semantic:
        found.update({f'seg_map_path_t{date}': str(folder) for date, folder in enumerate(covers, 1)})
    return found
