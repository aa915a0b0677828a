"""YOLOv3: an object belongs to the grid cell of its centre."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.structures import InstanceData
from numpy.typing import NDArray

from imbdense.mm.assigned_counts.anchors import class_row
from imbdense.mm.assigned_counts.feature_sizes import feature_sizes
from imbdense.mm.assigned_counts.images import DrawnImage


class YOLOV3Counter:
    """Counts the anchors of a ``YOLOV3Head`` per class with its own assigner; those of middling IoU are ignored."""

    def __init__(self, head: Any, divisor: int) -> None:
        self.head = head
        self.divisor = divisor
        self.classes = int(head.num_classes)

    def signature(self) -> list[Any]:
        """What the counts depend on besides the images."""
        return [self.head.prior_generator, self.head.assigner, self.head.sampler, self.divisor, self.classes]

    def count(self, image: DrawnImage) -> NDArray[Any]:
        """(1, C + 1) anchors of each class, the background last."""
        generator = self.head.prior_generator
        sizes = list(feature_sizes(image.shape, self.divisor, generator.strides))
        objects = InstanceData(bboxes=image.boxes, labels=image.labels)
        anchors = InstanceData(
            priors=torch.cat(generator.grid_priors(sizes, device='cpu')),
            responsible_flags=torch.cat(self.head.responsible_flags(sizes, image.boxes, 'cpu')),
        )
        assigned = self.head.assigner.assign(anchors, objects)
        drawn = self.head.sampler.sample(assigned, anchors, objects)
        return class_row(assigned.labels[drawn.pos_inds], len(drawn.neg_inds), self.classes)
