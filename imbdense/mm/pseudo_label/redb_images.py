"""ReDB rounds of detectors in images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.config import Config
from numpy.typing import NDArray

from imbdense.core.pseudo_label import MemoryEnsemble
from imbdense.data.instance_bank import BankObject, cut_instances
from imbdense.data.instance_bank.objects import Modality
from imbdense.data.pseudo import PseudoBoxes, coco_record
from imbdense.mm.pseudo_label.live import LiveModel
from imbdense.mm.pseudo_label.outputs import ImageFile, Record
from imbdense.mm.pseudo_label.redb_data import labelled_hosts, unlabelled_images
from imbdense.mm.pseudo_label.redb_filters import JudgedImage
from imbdense.mm.pseudo_label.redb_labels import read_coco
from imbdense.mm.pseudo_label.redb_records import Host, counted_record, examined_record
from imbdense.utils.stopwatch import Stopwatch


class ImageWorld(LiveModel):
    """Images with boxes; see :class:`~imbdense.mm.pseudo_label.redb_world.RoundWorld`.

    Args:
        model: an ``imbdense.ReDBDetector``. config: of the run; its test pipeline prepares the images.
        classes: names.
    """

    modality: Modality = 'image'
    min_size = 1.0

    def __init__(self, model: Any, config: Config, classes: Sequence[str]) -> None:
        super().__init__(model, config, classes)

    def samples(self, dataset: Any) -> list[ImageFile]:
        """The unlabelled images."""
        return unlabelled_images(dataset)

    def hosts(self, dataset: Any) -> list[Host]:
        """The labelled images that have a box."""
        return list(labelled_hosts(dataset))

    def counted(self, image: ImageFile, iou_thr: float, topk: int, clock: Stopwatch) -> Record:
        """Detections with their counts."""
        return counted_record(self, iou_thr, topk, clock, image)

    def examined(
        self, image: ImageFile, record: Record, chosen: NDArray[np.bool_], hosts: Sequence[Host], iou_thr: float,
        score_thr: float,
    ) -> Record:  # fmt: skip
        """Crops moved into a labelled image, detected again."""
        return examined_record(self, image, record, chosen, hosts, iou_thr, score_thr)

    def sides(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Width and height."""
        sides: NDArray[np.float32] = boxes[:, 2:] - boxes[:, :2]
        return sides

    def objects(self, one: JudgedImage) -> Iterator[BankObject]:
        """Crops."""
        if one.banked.any():
            yield from cut_instances(
                self.load(one.image.path)['img'], one.image.name, one.record['boxes'][one.banked],
                one.record['labels'][one.banked], scores=one.record['scores'][one.banked], source='pseudo',
            )  # fmt: skip

    def memory(self, options: Mapping[str, Any]) -> MemoryEnsemble:
        """Axis-parallel boxes."""
        return MemoryEnsemble(**options)

    def to_json(self, labels: Sequence[PseudoBoxes]) -> dict[str, Any]:
        """A COCO file."""
        return coco_record(labels, self.classes)

    def from_json(self, content: Mapping[str, Any]) -> Iterator[PseudoBoxes]:
        """The labels of a COCO file."""
        return read_coco(content)

    def hand_over(self, dataset: Any, labels: Mapping[str, PseudoBoxes]) -> None:
        """To the detector, which moves them into the view it sees."""
        self.model.set_pseudo_labels(labels)
