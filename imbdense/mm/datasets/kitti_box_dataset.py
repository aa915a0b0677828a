"""Data set: point clouds with boxes in the layout of KITTI."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmengine.dataset import BaseDataset

from imbdense.core.metrics.kitti_ap import kitti_difficulty
from imbdense.data.boxes3d import KittiScene, kitti_scenes, scene_objects
from imbdense.registry import DATASETS

CLASSES = ('Car', 'Pedestrian', 'Cyclist')
NEIGHBOURS = {'van': 'car', 'person_sitting': 'pedestrian'}
"""Classes that are easily taken for another: such an object is ignored, in training and in KITTI's AP."""


@DATASETS.register_module()
class KittiBoxDataset(BaseDataset):
    """Scenes with boxes: KITTI itself, and what `imbdense generate lidar` writes.

    Records: ``points_path``, ``calib_path``, ``scene``, ``lift`` and ``instances`` with ``bbox`` (x, y, z, l, w, h, yaw
    in the LiDAR, lifted), ``bbox_label``, ``ignore_flag`` and ``difficulty`` (0 easy, 1 moderate, 2 hard, 3 beyond).
    Names are compared without regard to case. A van is an ignored car, a sitting person an ignored pedestrian; other
    classes are background. A scene without a label file has no instances.

    Args:
        data_root: folder with ``training`` and ``ImageSets``. split: name of the list in ``ImageSets``.
        lift: metres added to z, the height of the sensor above the ground; KITTI about 1.73.
        metainfo: ``classes``; default car, pedestrian, cyclist.
        others: as in mmengine's ``BaseDataset``.

    Raises:
        KittiError: the list, a label file or a calibration is missing or damaged; the message names it.
    """

    card = 'pillar_detector'
    tasks = ('detection_3d',)
    METAINFO = {'classes': CLASSES, 'palette': [(0, 114, 178), (213, 94, 0), (0, 158, 115)]}

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        lift: float = 0.0,
        metainfo: Mapping[str, Any] | None = None,
        pipeline: Sequence[dict[str, Any] | Callable[..., Any]] = (),
        indices: int | Sequence[int] | None = None,
        test_mode: bool = False,
        serialize_data: bool = True,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        self.split, self.lift = split, float(lift)
        super().__init__(
            ann_file='', metainfo=None if metainfo is None else dict(metainfo), data_root=data_root,
            data_prefix={}, indices=indices, pipeline=list(pipeline), test_mode=test_mode,
            serialize_data=serialize_data, lazy_init=lazy_init, max_refetch=max_refetch,
        )  # fmt: skip

    def load_data_list(self) -> list[dict[str, Any]]:
        """The records of all scenes, in the order of the list."""
        return [self._record(scene) for scene in kitti_scenes(self.data_root, self.split)]

    def _record(self, scene: KittiScene) -> dict[str, Any]:
        """One scene."""
        known = scene.labels.is_file()
        return {
            'points_path': str(scene.points), 'calib_path': str(scene.calib) if scene.calib.is_file() else None,
            'scene': scene.name, 'lift': self.lift, 'instances': self._instances(scene) if known else [],
        }  # fmt: skip

    def _instances(self, scene: KittiScene) -> list[dict[str, Any]]:
        """The objects of a scene that are of a class or like one."""
        labels, boxes, _ = scene_objects(scene)
        heights = labels.image_boxes[:, 3] - labels.image_boxes[:, 1]
        difficulty = kitti_difficulty(heights, labels.occlusion, labels.truncation)
        classes = [name.lower() for name in self.metainfo['classes']]
        found = []
        for row, name in enumerate(labels.names):
            own = name.lower()
            like = own if own in classes else NEIGHBOURS.get(own)
            if like not in classes:
                continue
            box = boxes[row].tolist()
            box[2] += self.lift
            found.append({'bbox': box, 'bbox_label': classes.index(like), 'ignore_flag': int(own not in classes),
                          'difficulty': int(difficulty[row])})  # fmt: skip
        return found
