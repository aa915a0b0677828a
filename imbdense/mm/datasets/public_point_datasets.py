"""Data sets: the published ones of point clouds, over the layouts of :mod:`imbdense.data.points.layouts`."""

from __future__ import annotations

from collections.abc import Sequence

from imbdense.data.points.layouts import point_layout
from imbdense.data.points.source import Unknown
from imbdense.mm.datasets.point_dataset import Pipeline, PointDataset
from imbdense.registry import DATASETS


class _PublicPointDataset(PointDataset):
    """Base: a layout by name.

    Args:
        data_root: folder of the data set as it is unpacked; the error message for a wrong one shows the layout.
        split: see the layout.
        mapping: name of a class map of the layout; ``None`` = the usual one.
        ann_file: file with the names of the scenes to use, one per line; '' = all of the split.
        unknown: what becomes of codes that the class map does not name: ``'error'`` or ``'ignore'``.
        need_labels: ``False`` for scenes without labels, to predict.
        pipeline, indices, test_mode, serialize_data, lazy_init, max_refetch: as in mmengine.
    """

    layout = ''
    conformance_arguments = {'data_root': '.', 'lazy_init': True}

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        mapping: str | None = None,
        ann_file: str = '',
        unknown: Unknown = 'error',
        need_labels: bool = True,
        pipeline: Pipeline = (),
        indices: int | Sequence[int] | None = None,
        test_mode: bool = False,
        serialize_data: bool = True,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        layout = point_layout(self.layout)
        super().__init__(
            layout, layout.class_map(mapping), data_root=data_root, split=split, ann_file=ann_file, unknown=unknown,
            need_labels=need_labels, pipeline=pipeline, indices=indices, test_mode=test_mode,
            serialize_data=serialize_data, lazy_init=lazy_init, max_refetch=max_refetch,
        )  # fmt: skip


@DATASETS.register_module()
class STPLS3DDataset(_PublicPointDataset):
    """STPLS3D (Chen et al., BMVC 2022): aerial photogrammetry, real sites and synthetic ones.

    ``mapping``: 'benchmark6' (published), 'clean6' (aircraft, bikes and clutter are no buildings), 'raw20',
    'instance14'.
    """

    layout = 'stpls3d'


@DATASETS.register_module()
class S3DISDataset(_PublicPointDataset):
    """S3DIS (Armeni et al., CVPR 2016): rooms of six indoor areas, 13 classes."""

    layout = 's3dis'


@DATASETS.register_module()
class ScanNetPointDataset(_PublicPointDataset):
    """ScanNet (Dai et al., CVPR 2017): indoor scans; 20 classes, or the long tail of ScanNet200."""

    layout = 'scannet'


@DATASETS.register_module()
class Toronto3DDataset(_PublicPointDataset):
    """Toronto-3D (Tan et al., CVPRW 2020): a street from a car, 8 classes."""

    layout = 'toronto3d'


@DATASETS.register_module()
class DALESDataset(_PublicPointDataset):
    """DALES (Varney et al., CVPRW 2020): airborne laser scanning, 8 classes."""

    layout = 'dales'


@DATASETS.register_module()
class SemanticKITTIPointDataset(_PublicPointDataset):
    """SemanticKITTI (Behley et al., ICCV 2019): laser scans from a car, 19 classes."""

    layout = 'semantickitti'


@DATASETS.register_module()
class IGNLidarHDDataset(_PublicPointDataset):
    """IGN LiDAR HD: airborne tiles of France.

    ``mapping``: 'objects' (9 classes of things), 'all_codes' (every code is a class; the longest tail), 'airborne' (the
    six classes that generated laser clouds have too).
    """

    layout = 'ign_lidar_hd'


@DATASETS.register_module()
class AerialSceneDataset(_PublicPointDataset):
    """Generated aerial scenes (``imbdense generate clouds``): codes of STPLS3D, splits 'train' and 'val'.

    ``mapping``: 'clean6', 'benchmark6', 'aerial' (ten classes, the rare ones apart), 'full', 'instance14', 'airborne'
    (the six classes that IGN LiDAR HD has too; generate with the preset ``ign-lidar``).
    """

    card = 'generated_clouds'
    layout = 'aerial_scenes'
