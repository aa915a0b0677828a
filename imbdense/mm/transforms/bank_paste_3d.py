"""Transform: paste objects of an instance bank into a point cloud, equally many of every class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.boxes3d import draw_scale, paste_objects, scale_box, scale_points
from imbdense.core.checks import check_integer
from imbdense.data.instance_bank import Rounds
from imbdense.mm.transforms.bank_draw import BankDraw
from imbdense.mm.transforms.point_frame import add_boxes, frame_boxes, point_matrix, set_points
from imbdense.mm.transforms.random_object_scaling import check_ranges
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class BankPaste3d(BankDraw):
    """Paste cut-out objects of a bank of points into each scene, the same number of every class.

    Per scene and class k = ``quota`` objects are drawn uniformly with replacement and put where they lay in their own
    scene. One whose box seen from above overlaps a box that is there, ignored or not, or another that is pasted, is
    left out. Points of the scene inside a pasted box are deleted. Bank of ground truth: GT sampling of SECOND. Bank of
    pseudo-labels: the pool of ReDB (Chen et al., ICCV 2023).

    Needs ``gt_boxes_3d`` (from LoadBoxes3d or PseudoBoxes3d) and the attributes the bank was made with. Put it before
    the transforms that move the scene. Drawing, empty classes, rounds: see
    :class:`~imbdense.mm.transforms.bank_draw.BankDraw`. A scene with ``labelled=False`` is left as it is.

    Args:
        bank: folder, from ``imbdense generate bank CONFIG --out FOLDER``.
        quota: objects per class and scene; 0.25 pastes one into every fourth.
        classes: class indices to paste; ``None`` = all of the bank.
        scale: (lowest, highest) size factor of every class (random object scaling, ROS): the first of 50 drawn factors
            with which the object hits no box of the scene; ``None`` = as they are. ReDB scales source objects alone.
        on_ground: move an object to the height of the ground where it is pasted. Data sets whose sensors' heights were
            added (``lift``) have a common ground and need it on slopes only.
        min_points: objects with fewer points are not pasted.
        rounds: ``'union'`` of the bank's rounds, the ``'latest'`` or the ``'first'``.

    Raises:
        ValueError: argument out of range; no boxes in the sample; other attributes than the bank's; a bank of images.
        BankError: no bank, or a damaged one.
    """

    card = 'redb_3d'
    tasks = ('detection_3d',)
    modality = 'points'
    conformance_arguments = {'bank': 'no_such_folder'}

    def __init__(
        self,
        bank: str,
        quota: float = 1,
        classes: Sequence[int] | None = None,
        scale: Sequence[Sequence[float]] | None = None,
        on_ground: bool = False,
        min_points: int = 5,
        rounds: Rounds = 'union',
    ) -> None:
        super().__init__(bank, quota, classes, rounds)
        self.scale = None if scale is None else check_ranges(scale, 'BankPaste3d')
        self.on_ground = bool(on_ground)
        self.min_points = check_integer('min_points', min_points, low=1, owner='BankPaste3d')

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Paste into one sample and return it."""
        present = frame_boxes(results, 'BankPaste3d')
        if not results.get('labelled', True):
            return results
        rng = np.random.default_rng(self.draw_seed())
        items = [item for item in self.drawn(rng) if len(item.values) >= self.min_points]
        if not items:
            return results
        boxes = torch.tensor([item.box for item in items], dtype=torch.float32)
        objects = [torch.from_numpy(np.array(item.values)) for item in items]
        labels = np.array([item.klass for item in items], np.int64)
        if self.scale is not None:
            boxes, objects = self._scaled(boxes, objects, labels, present, rng)
        points, placed, chosen = paste_objects(point_matrix(results), present, boxes, objects, self.on_ground)
        set_points(results, points)
        add_boxes(results, placed, labels[chosen.numpy()])
        return results

    def prior_effect(self, context: Any) -> NDArray[np.float64]:
        """Return (C,) expected objects per class and epoch: those of the scenes, and k of each class of the bank in
        every scene. Collisions, which leave some out, are not foreseen.

        Args:
            context: an ``imbdense.mm.prior.PriorContext``.

        Raises:
            ValueError: the bank has another number of classes than the data set.
        """
        counts = self.bank.counts
        if len(counts) != context.table.num_classes:
            raise ValueError(
                f'BankPaste3d: {self.folder} has {len(counts)} classes, the data set {context.table.num_classes}. Make '
                f'the bank from this data set.'
            )
        pasted = np.zeros(len(counts))
        pasted[list(self._pasted_classes)] = self.quota * context.draws.sum()
        found: NDArray[np.float64] = context.table.expected_totals(context.draws) + np.where(counts > 0, pasted, 0.0)
        return found

    def _scaled(
        self, boxes: Tensor, objects: list[Tensor], labels: NDArray[np.int64], present: Tensor,
        rng: np.random.Generator,
    ) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
        """The objects with other sizes."""
        if self.scale is None or labels.max() >= len(self.scale):
            raise ValueError(f'BankPaste3d: class {labels.max()} has no scale; there are {len(self.scale or ())}.')
        scaled, moved = boxes.clone(), []
        for number, (box, own, label) in enumerate(zip(boxes, objects, labels)):
            factor = draw_scale(box, present, *self.scale[label], rng)
            scaled[number] = scale_box(box, factor)
            moved.append(scale_points(own, box, factor))
        return scaled, moved
