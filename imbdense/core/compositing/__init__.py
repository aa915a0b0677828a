"""Pasting cut-out objects into annotated images: pure functions of arrays and a generator.

:class:`Cutout` is an object to paste, :class:`Canvas` an annotated image that takes it under the rules of overlap and
visibility, :func:`scatter` finds the places, :func:`feathered_alpha` makes the soft border.
"""

from imbdense.core.compositing.alpha import feathered_alpha
from imbdense.core.compositing.canvas import Canvas, Pasted
from imbdense.core.compositing.cutout import Cutout
from imbdense.core.compositing.scatter import draw_quota, jittered, scatter

__all__ = ['Canvas', 'Cutout', 'Pasted', 'draw_quota', 'feathered_alpha', 'jittered', 'scatter']
