"""``imbdense.PointDCSegmentor``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from imbdense.mm.segmentors.cluster_segmentor import ClusterSegmentor, Config, EncodedRows
from imbdense.mm.structures.point_seg_data_sample import PointData, PointSegDataSample
from imbdense.nn.sparse import SparsePoints
from imbdense.registry import MODELS


@MODELS.register_module()
class PointDCSegmentor(ClusterSegmentor):
    """Unsupervised segmentation of point clouds: distil image features, then cluster super-voxels (PointDC).

    * ``stage='distill'``: cross-modal distillation. A linear map of the 3-D features shall point where
      ``view_features`` (:class:`imbdense.LoadFeatureVolume`) do; points that no view has seen are left out, and so
      learn from their like.
    * ``'warmup'``, ``'iterate'``: super-voxel clustering with :class:`imbdense.SuperVoxelClusterHook`, which gives the
      pseudo-labels.

    Prediction: ``pred_pts_seg.semantic``, numbers of clusters; :class:`imbdense.HungarianIoU` gives them names.
    No label is looked at but by the metric. The pipeline packs ``info=('supervoxel', 'view_features')``; only
    'supervoxel' is needed after 'distill'.

    Args:
        backbone: config; :class:`~imbdense.nn.sparse.SparsePoints` -> the same with ``out_channels`` features.
        head: config of :class:`imbdense.CosineClusterHead`.
        distill: config of :class:`imbdense.DistillCosineLoss`; ``None`` where nothing is distilled.
        stage: 'distill', 'warmup' or 'iterate'.
        data_preprocessor: config of ``imbdense.PointDataPreProcessor``.
        train_cfg: unused, for the host. test_cfg: ``dict(part_vote=True)``, see :class:`ClusterSegmentor`.
        init_cfg: as in mmengine.

    Source: Chen et al., Unsupervised Semantic Segmentation of 3D Point Clouds via Cross-modal Distillation and
    Super-Voxel Clustering, ICCV 2023.
    """

    card = 'pointdc'
    tasks = ('points',)
    conformance_arguments = {
        'backbone': {'type': 'imbdense.SparseUNet', 'in_channels': 3, 'base_channels': 4, 'depth': 1, 'blocks': (1,)},
        'head': {'type': 'imbdense.CosineClusterHead', 'num_clusters': 5},
        'distill': {'type': 'imbdense.DistillCosineLoss', 'dims': 6},
    }

    def __init__(
        self,
        backbone: Config,
        head: Config,
        distill: Config | None = None,
        stage: str = 'distill',
        data_preprocessor: Config | None = None,
        train_cfg: Config | None = None,
        test_cfg: Config | None = None,
        init_cfg: Config | None = None,
    ) -> None:
        super().__init__(backbone, head, distill, stage, data_preprocessor, test_cfg, init_cfg)

    def feature_channels(self) -> int:
        """Of the backbone."""
        return int(self.backbone.out_channels)

    def encode(self, inputs: SparsePoints, samples: Sequence[Any]) -> EncodedRows:
        """Features at the voxels, and the voxel of each point."""
        return EncodedRows(self.backbone(inputs).feats, [sample.voxel_index for sample in samples])

    def parts_of(self, sample: Any) -> Tensor:
        """Super-voxels."""
        return _info(sample, 'supervoxel', 'imbdense.SuperVoxel')

    def teacher_of(self, sample: Any) -> Tensor:
        """Features of the views."""
        return _info(sample, 'view_features', 'imbdense.LoadFeatureVolume')

    def name_of(self, sample: Any) -> str:
        """The scene."""
        return str(sample.metainfo.get('scene', ''))

    def answer(self, sample: Any, classes: Tensor) -> PointSegDataSample:
        """With ``pred_pts_seg.semantic``."""
        sample.pred_pts_seg = PointData(semantic=classes)
        return sample


def _info(sample: Any, name: str, transform: str) -> Tensor:
    """A field of ``point_info``."""
    if name not in sample.get('point_info', ()):
        place = sample.metainfo.get('points_path', 'a cloud')
        raise KeyError(f"PointDCSegmentor: the sample of {place} has no '{name}'. Add {transform} to the pipeline, and "
                       f"'{name}' to info of imbdense.PackPointInputs.")  # fmt: skip
    found: Tensor = sample.point_info[name]
    return found
