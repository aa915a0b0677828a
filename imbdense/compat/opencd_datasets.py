"""The data sets of open-cd; see :mod:`imbdense.compat.opencd`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmengine.registry import DATASETS

from imbdense.data.change.layout import FormatSegMap
from imbdense.mm.datasets.change_pair_dataset import ChangePairDataset


@DATASETS.register_module(name='_BaseCDDataset')
class OpenCDDataset(ChangePairDataset):
    """Change between two dates with open-cd's arguments; subclasses know suffixes and classes of a data set.

    Args:
        ann_file, img_suffix, seg_map_suffix, format_seg_map, metainfo, data_root, data_prefix: as in open-cd; ``None``
            = what is usual for the data set.
        indices, serialize_data, pipeline, test_mode, lazy_init, max_refetch: as in mmengine.
        reduce_semantic_zero_label: as in open-cd, for data sets with land cover.
        ignore_index, reduce_zero_label, filter_cfg, backend_args: accepted with their defaults.

    Raises:
        ValueError: an argument that has no counterpart here.
    """

    suffixes: tuple[str, str] = ('.jpg', '.png')
    usual_format: FormatSegMap | None = None
    semantic_classes: tuple[str, ...] = ()
    semantic_palette: tuple[tuple[int, int, int], ...] = ()
    zero_is_unlabelled = False

    def __init__(
        self,
        ann_file: str = '',
        img_suffix: str | None = None,
        seg_map_suffix: str | None = None,
        format_seg_map: FormatSegMap | None = None,
        metainfo: Mapping[str, Any] | None = None,
        data_root: str | None = None,
        data_prefix: Mapping[str, str] | None = None,
        filter_cfg: Mapping[str, Any] | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[dict[str, Any] | Callable[..., Any]] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
        ignore_index: int = 255,
        reduce_zero_label: bool = False,
        reduce_semantic_zero_label: bool | None = None,
        backend_args: Mapping[str, Any] | None = None,
    ) -> None:
        name = type(self).__name__
        if filter_cfg or backend_args or reduce_zero_label or ignore_index != 255:
            raise ValueError(
                f'{name}: filter_cfg, backend_args, reduce_zero_label and ignore_index have no counterpart here.'
            )
        meta = dict(metainfo or {})
        classes = tuple(meta.get('semantic_classes', self.semantic_classes))
        palette = list(meta.get('semantic_palette', self.semantic_palette if classes == self.semantic_classes else ()))
        zero = self.zero_is_unlabelled if reduce_semantic_zero_label is None else bool(reduce_semantic_zero_label)
        semantic = bool(classes and (data_prefix or {}).get('seg_map_path_from'))
        if semantic:
            meta['land_cover'], meta['land_cover_palette'] = classes[zero:], palette[zero:]
        super().__init__(
            data_root=data_root,
            ann_file=ann_file,
            data_prefix=data_prefix,
            metainfo=meta,
            mode='semantic' if semantic else 'binary',
            format_seg_map=format_seg_map or self.usual_format,
            reduce_semantic_zero_label=semantic and zero,
            img_suffix=self.suffixes[0] if img_suffix is None else img_suffix,
            seg_map_suffix=self.suffixes[1] if seg_map_suffix is None else seg_map_suffix,
            pipeline=pipeline,
            indices=indices,
            test_mode=test_mode,
            serialize_data=serialize_data,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )


@DATASETS.register_module(name='BaseSCDDataset')
class OpenCDSemanticDataset(OpenCDDataset):
    """Semantic change with ``metainfo['semantic_classes']``."""


@DATASETS.register_module(name='LEVIR_CD_Dataset')
class LevirCD(OpenCDDataset):
    """LEVIR-CD."""

    suffixes, usual_format = ('.png', '.png'), 'to_binary'


@DATASETS.register_module(name='S2Looking_Dataset')
class S2Looking(LevirCD):
    """S2Looking."""


@DATASETS.register_module(name='CLCD_Dataset')
class CLCD(LevirCD):
    """CLCD."""


@DATASETS.register_module(name='JL1_CD_Dataset')
class JL1CD(LevirCD):
    """JL1-CD."""


@DATASETS.register_module(name='WHU_CD_Dataset')
class WhuCD(LevirCD):
    """WHU-CD tiles."""

    suffixes = ('', '')


@DATASETS.register_module(name='SVCD_Dataset')
class SVCD(LevirCD):
    """SVCD, whose masks are JPEGs: cut at 128."""

    suffixes, usual_format = ('.jpg', '.jpg'), 'threshold'


@DATASETS.register_module(name='DSIFN_Dataset')
class DSIFN(OpenCDDataset):
    """DSIFN."""


@DATASETS.register_module(name='RSIPAC_CD_Dataset')
class RsipacCD(OpenCDDataset):
    """RSIPAC."""

    suffixes = ('.tif', '.png')


@DATASETS.register_module(name='SECOND_Dataset')
class Second(OpenCDSemanticDataset):
    """SECOND with index labels in the order of its colours; 0 is unchanged."""

    suffixes = ('.png', '.png')
    semantic_classes = ('unchanged', 'water', 'ground', 'low vegetation', 'tree', 'building', 'sports field')
    semantic_palette = (
        (255, 255, 255), (0, 0, 255), (128, 128, 128), (0, 128, 0), (0, 255, 0), (128, 0, 0), (255, 0, 0),
    )  # fmt: skip
    zero_is_unlabelled = True


@DATASETS.register_module(name='Landsat_Dataset')
class Landsat(OpenCDSemanticDataset):
    """Landsat-SCD with a label per date; 0 is unchanged."""

    suffixes = ('.png', '.png')
    semantic_classes = ('unchanged', 'farmland', 'desert', 'building', 'water')
    semantic_palette = ((255, 255, 255), (0, 155, 0), (255, 165, 0), (230, 30, 100), (0, 170, 240))
    zero_is_unlabelled = True


@DATASETS.register_module(name='BANDON_Dataset')
class Bandon(OpenCDSemanticDataset):
    """BANDON: roofs and facades at both dates."""

    semantic_classes = ('background', 'roofs', 'facades')
    semantic_palette = ((0, 0, 0), (244, 177, 131), (143, 170, 220))
