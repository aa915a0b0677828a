"""Data sets: the published ones of point clouds, over the layouts of :mod:`imbdense.data.points.layouts`."""

from __future__ import annotations

from imbdense.core.checks import check_choice
from imbdense.data.points.class_map import ClassMap
from imbdense.data.points.layout import PointLayout
from imbdense.data.points.layouts import point_layout
from imbdense.mm.datasets.point_dataset import PointDataset, point_arguments
from imbdense.registry import DATASETS


@point_arguments()
class _PublicPointDataset(PointDataset):
    """Base: a layout by name.

    Args:
        data_root: folder of the data set as it is unpacked; the error message for a wrong one shows the layout.
        mapping: name of a class map of the layout; ``None`` = the usual one.
        others: see :class:`PointDataset`.
    """

    layout = ''
    conformance_arguments = {'data_root': '.', 'lazy_init': True}

    @classmethod
    def layout_and_classes(cls, mapping: str | None = None) -> tuple[PointLayout, ClassMap]:
        """The layout of the name, with one of its class maps."""
        layout = point_layout(cls.layout)
        return layout, layout.class_map(mapping)


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
    """ScanNet (Dai et al., CVPR 2017): indoor scans; 20 classes, or the long tail of ScanNet200.

    ``mapping``: 'benchmark20', or 'benchmark200', whose codes are read from the aggregation of the objects.
    """

    layout = 'scannet'

    @classmethod
    def layout_and_classes(cls, mapping: str | None = None) -> tuple[PointLayout, ClassMap]:
        """The layout whose codes the class map names."""
        layout = point_layout('scannet200' if mapping == 'benchmark200' else cls.layout)
        check_choice('mapping', mapping or 'benchmark20', ('benchmark20', 'benchmark200'), owner=cls.__name__)
        return layout, layout.class_map(mapping)


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
