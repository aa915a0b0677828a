"""Data sets and transforms under the names of open-cd.

``custom_imports = dict(imports=['imbdense.compat.opencd'])`` and a data set block of an open-cd config runs as it is,
without open-cd. The names are registered in mmengine's root registries, where every scope finds them. They are thin:
the data sets are :class:`imbdense.ChangePairDataset`, the pairs travel as one image with the dates on the channels, and
everything of imbdense (statistics, samplers, hooks) works on them.

What differs on purpose: masks for ``format_seg_map='to_binary'`` must hold 0 and 255 (or 0 and 1), where open-cd cuts
any number at 128; rotated labels are never interpolated; images that do not fit or are cut off are named.

Not there: ``MultiImgAlbu`` (use ``imbdense.AlbumentationsAdapter``), the loaders of arrays for inference, and models.
"""

from imbdense.mm.optional import import_members

import_members(
    'imbdense.compat', {'opencd_datasets': ('mmseg',), 'opencd_transforms': ('mmcv', 'mmseg')}
)
