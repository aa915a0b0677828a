"""Transform: load a segmentation label of any usual kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmcv.transforms import BaseTransform

from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.masks import read_mask
from imbdense.data.readers.palettes import colour_table, colours_to_index
from imbdense.mm.transforms.label_values import map_label_values
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadSegMask(BaseTransform):
    """Load the label of a segmentation sample: indexed or grey PNG, one-band TIFF or GeoTIFF, or a colour-coded mask.

    Takes the place of mmseg's ``LoadAnnotations``, which hands on whatever the image decoder gives (colours of a
    palette PNG with OpenCV, three channels of a colour mask). Order as there: colours by ``palette``,
    ``reduce_zero_label``, ``label_map`` (both as the data set put them into ``results``).

    Sets ``gt_seg_map`` (H, W) uint8 and adds it to ``seg_fields``.

    Args:
        palette: (red, green, blue) of class 0, 1, …, for colour-coded masks; ``None`` for index masks.
        ignored_colors: colours that become ``ignore_index``.
        ignore_index: label value of ignored pixels.

    Raises:
        LabelReadError: the file is missing, truncated, of the wrong kind or size, or holds unknown values; the
            message names it and the cure.
    """

    card = 'load_seg_mask'
    tasks = ('segmentation',)

    def __init__(
        self,
        palette: Sequence[Sequence[int]] | None = None,
        ignored_colors: Sequence[Sequence[int]] = (),
        ignore_index: int = 255,
    ) -> None:
        self.palette = None if palette is None else colour_table(palette, ignored_colors, ignore_index)
        self.ignore_index = int(ignore_index)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load the label of one sample."""
        path = results['seg_map_path']
        values = read_mask(path)
        if values.ndim == 3:
            if self.palette is None:
                raise LabelReadError(
                    path, 'colours', 'has three channels where class indices are expected.',
                    'Give the colour of each class: LoadSegMask(palette=[(r, g, b), ...]).',
                )
            values = colours_to_index(values, self.palette, path)
        image_shape = results.get('ori_shape')  # size of the image file: the label may be loaded after a resize
        if image_shape is not None and tuple(image_shape[:2]) != values.shape:
            raise LabelReadError(
                path, 'shape', f'is {values.shape[0]} x {values.shape[1]} pixels (height x width), but its image is '
                f'{image_shape[0]} x {image_shape[1]}.', 'Make the pair again; `imbdense check CONFIG` lists all such.',
            )
        results['gt_seg_map'] = map_label_values(
            values, results.get('label_map'), bool(results.get('reduce_zero_label')), self.ignore_index, path
        )
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results
