"""Several views of one image: mixing two of them, and carrying values from one to another.

* :func:`cutmix_masks`, :func:`paste` - CutMix on batches of images, labels and masks;
* :func:`warp_view`, :func:`view_to_view` - values of one view in the pixels of another, by their affine matrices.
"""

from imbdense.core.views.cutmix import cutmix_masks, paste
from imbdense.core.views.warp import view_to_view, warp_view

__all__ = ['cutmix_masks', 'paste', 'view_to_view', 'warp_view']
