"""ReDB rounds of detectors in point clouds."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from numpy.typing import NDArray

from imbdense.core.boxes3d import bev_iou, examination_scene, iou_3d
from imbdense.core.pseudo_label import MemoryEnsemble, accept, overlapped_box_count
from imbdense.data.instance_bank import BankObject, cut_points
from imbdense.data.instance_bank.objects import Modality
from imbdense.data.pseudo import PseudoBoxes, boxes_3d_record, read_boxes_3d
from imbdense.mm.dataset_wrappers import leaves
from imbdense.mm.datasets.label_source import records_of
from imbdense.mm.predictor import innermost_dataset, label_free_pipeline
from imbdense.mm.pseudo_label.live import evaluation_mode
from imbdense.mm.pseudo_label.outputs import ImageFile, Record
from imbdense.mm.pseudo_label.redb_data import labelled_hosts, unlabelled_images
from imbdense.mm.pseudo_label.redb_filters import JudgedImage
from imbdense.mm.pseudo_label.redb_records import Host
from imbdense.mm.pseudo_label.redb_world import transforms_of
from imbdense.mm.transforms.point_frame import point_matrix, set_points
from imbdense.mm.transforms.pseudo_boxes_3d import PseudoBoxes3d
from imbdense.utils.stopwatch import Stopwatch

YAW = 6
"""Column of the yaw in a box."""
MIN_POINTS = 5
"""Objects with fewer points do not enter the bank."""


class PointWorld:
    """Point clouds with boxes in space; see :class:`~imbdense.mm.pseudo_label.redb_world.RoundWorld`.

    Args:
        model: an ``imbdense.ReDB3D``. config: of the run; its test pipeline prepares the scenes.
        classes: names.
    """

    modality: Modality = 'points'
    min_size = 0.0

    def __init__(self, model: Any, config: Config, classes: Sequence[str]) -> None:
        self.model, self.classes = model, list(classes)
        steps = label_free_pipeline(innermost_dataset(config)).transforms
        self._load, self._prepare = Compose(steps[:1]), Compose(steps[1:])
        self._lift: dict[str, float] = {}

    def samples(self, dataset: Any) -> list[ImageFile]:
        """The unlabelled scenes."""
        self._remember(records_of(dataset.unlabeled))
        return unlabelled_images(dataset)

    def hosts(self, dataset: Any) -> list[Host]:
        """The labelled scenes that have a box."""
        for leaf in leaves(dataset):
            self._remember(records_of(leaf))
        return list(labelled_hosts(dataset))

    def evaluating(self) -> AbstractContextManager[None]:
        """Evaluation mode without gradient, then what was before."""
        return evaluation_mode(self.model)

    def load(self, path: str | Path) -> dict[str, Any]:
        """A scene as its loading transform leaves it, lifted as its data set says."""
        return dict(self._load({'points_path': str(path), 'lift': self._lift[str(path)]}))

    def counted(self, image: ImageFile, iou_thr: float, topk: int, clock: Stopwatch) -> Record:
        """Detections with the number of proposals before suppression that overlap each from above."""
        network = self.model.predictor
        proposals = network.propose(self._inputs(self.load(image.path)), max(topk, network.limit))[0]
        record = _record(network.select(proposals))
        with clock.measure('count'):
            record['overlap_count'] = overlapped_box_count(
                record['boxes'], proposals.boxes.cpu().numpy(), proposals.scores.cpu(), iou_thr, topk, iou=bev_iou
            )
        return record

    def examined(
        self, image: ImageFile, record: Record, chosen: NDArray[np.bool_], hosts: Sequence[Host], iou_thr: float,
        score_thr: float,
    ) -> Record:  # fmt: skip
        """Points moved into a labelled scene, detected again. The scene is picked by the name of the sample."""
        accepted = np.zeros(len(chosen), bool)
        if not chosen.any():
            return {'accepted': accepted}
        host = hosts[zlib.crc32(image.name.encode()) % len(hosts)]
        own, scene = self.load(image.path), self.load(host.path)
        boxes = record['boxes'][chosen]
        set_points(scene, examination_scene(
            point_matrix(own), torch.from_numpy(boxes), point_matrix(scene), torch.from_numpy(host.boxes)))
        network = self.model.predictor
        found = _record(network.select(network.propose(self._inputs(scene))[0]))
        enough = found['scores'] >= score_thr
        accepted[chosen] = accept(
            iou_3d(found['boxes'][enough], boxes), iou_thr, pred_labels=found['labels'][enough],
            pseudo_labels=record['labels'][chosen],
        )  # fmt: skip
        return {'accepted': accepted}

    def sides(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Length, width, height."""
        return boxes[:, 3:6]

    def objects(self, one: JudgedImage) -> Iterator[BankObject]:
        """The points in the boxes."""
        if one.banked.any():
            yield from cut_points(
                point_matrix(self.load(one.image.path)).numpy(), one.image.name, one.record['boxes'][one.banked],
                one.record['labels'][one.banked], one.record['scores'][one.banked], source='pseudo',
                min_points=MIN_POINTS,
            )  # fmt: skip

    def memory(self, options: Mapping[str, Any]) -> MemoryEnsemble:
        """Boxes in space."""
        return MemoryEnsemble(**{'yaw_column': YAW, 'iou': iou_3d, **options})

    def to_json(self, labels: Sequence[PseudoBoxes]) -> dict[str, Any]:
        """A file of boxes in space."""
        return boxes_3d_record(labels, self.classes)

    def from_json(self, content: Mapping[str, Any]) -> Iterator[PseudoBoxes]:
        """The labels of such a file."""
        return read_boxes_3d(content)

    def hand_over(self, dataset: Any, labels: Mapping[str, PseudoBoxes]) -> None:
        """To the transforms, since points and boxes are pasted and moved together.

        Raises:
            ValueError: no pipeline has ``imbdense.PseudoBoxes3d``.
        """
        takers = list(transforms_of(dataset, PseudoBoxes3d))
        if not takers:
            raise ValueError('PseudoLabelRoundHook: no pipeline of the training data has imbdense.PseudoBoxes3d, which '
                             'gives unlabelled scenes their boxes. Put it after the loading transform.')
        for taker in takers:
            taker.set_labels(labels)

    def _remember(self, records: Sequence[Mapping[str, Any]]) -> None:
        """How far the points of each file are lifted."""
        self._lift.update({str(info['points_path']): float(info.get('lift', 0.0)) for info in records})

    def _inputs(self, loaded: dict[str, Any]) -> dict[str, Any]:
        """What the detector takes of a loaded scene."""
        batch = self.model.data_preprocessor(pseudo_collate([self._prepare(loaded)]), False)
        inputs: dict[str, Any] = batch['inputs']
        return inputs


def _record(found: Any) -> Record:
    """Boxes, labels and scores of detections, best first."""
    return {
        'boxes': found.boxes.cpu().numpy().astype(np.float32).reshape(-1, 7),
        'labels': found.labels.cpu().numpy().astype(np.int64), 'scores': found.scores.cpu().numpy().astype(np.float32),
    }  # fmt: skip
