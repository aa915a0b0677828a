"""Read labels and annotations as they lie on disk: masks, colour codes, COCO, VOC, split files."""

from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.labels import LabelFormat, read_indices, read_label
from imbdense.data.readers.masks import mask_size, read_mask
from imbdense.data.readers.palettes import colour_table, colours_to_index

__all__ = [
    'LabelFormat',
    'LabelReadError',
    'colour_table',
    'colours_to_index',
    'mask_size',
    'read_indices',
    'read_label',
    'read_mask',
]
