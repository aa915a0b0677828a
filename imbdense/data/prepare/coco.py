"""COCO json from boxes: collects images, boxes and categories, clips and drops what lies outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class CocoBuilder:
    """Builds one COCO annotation file.

    Args:
        classes: category names; ids run from 1 in this order.
        description, licence: written into ``info`` and ``licenses``.

    ``dropped`` and ``clipped`` count the boxes that had no area inside the image and those that reached outside.
    """

    def __init__(self, classes: Sequence[str], description: str, licence: str = '') -> None:
        self.classes = list(classes)
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.info = {'description': description}
        self.licences = [{'id': 1, 'name': licence}] if licence else []
        self.dropped = 0
        self.clipped = 0

    def add_image(self, file_name: str, width: int, height: int) -> dict[str, Any]:
        """Add an image and return its record; ids count from 1 in the order of calls."""
        record = {'id': len(self.images) + 1, 'file_name': file_name, 'width': width, 'height': height}
        self.images.append(record)
        return record

    def add_box(
        self,
        image: dict[str, Any],
        name: str,
        corners: Sequence[float],
        *,
        crowd: bool = False,
        mask: dict[str, Any] | None = None,
    ) -> None:
        """Add a box given by its corners (x0, y0, x1, y1), clipped to the image; one without area is dropped.

        ``mask`` = dict(area=pixels, segmentation=run-length code) replaces the area of the box.
        """
        x0, y0, x1, y1 = (float(value) for value in corners)
        left, top = max(x0, 0.0), max(y0, 0.0)
        right, bottom = min(x1, float(image['width'])), min(y1, float(image['height']))
        if right <= left or bottom <= top:
            self.dropped += 1
            return
        self.clipped += (left, top, right, bottom) != (x0, y0, x1, y1)
        width, height = right - left, bottom - top
        self.annotations.append({
            'id': len(self.annotations) + 1, 'image_id': image['id'], 'category_id': self.classes.index(name) + 1,
            'bbox': [left, top, width, height], 'area': width * height, 'iscrowd': int(crowd), **(mask or {}),
        })

    def to_dict(self) -> dict[str, Any]:
        """The file content."""
        return {
            'info': self.info, 'licenses': self.licences, 'images': self.images, 'annotations': self.annotations,
            'categories': [{'id': number, 'name': name} for number, name in enumerate(self.classes, 1)],
        }
