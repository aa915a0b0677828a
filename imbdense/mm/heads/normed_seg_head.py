"""``imbdense.NormedSegHead``."""

from __future__ import annotations

from torch import nn

from imbdense.core.checks import check_number
from imbdense.mm.heads.classifier_swap import cosine_like, head_with_classifier
from imbdense.registry import MODELS

SEG_CLASSIFIERS = ('conv_seg', 'cls_embed')


@MODELS.register_module()
class NormedSegHead:
    """Any mmseg decode head with a cosine classifier: rare classes are not held down by short vectors.

    ``dict(type='imbdense.NormedSegHead', base=dict(type='FCNHead', ...))`` builds the base head in the default scope
    and returns **that head**, with ``conv_seg`` (Mask2Former and MaskFormer: ``cls_embed``) replaced by a bias-free
    cosine layer, see :class:`imbdense.nn.classifiers.CosineConv2d`. Weights of a plain checkpoint fit
    (``conv_seg.weight``); its bias is not used.

    Args:
        base: config of the head; all its options stay where they are.
        temperature: factor of the cosines, > 0. 20 for cross-entropy; 1 for losses that scale by themselves (LDAM).

    Raises:
        ValueError: a head without such a classifier.
    """

    card = 'fixed_classifiers'
    tasks = ('segmentation',)

    def __new__(cls, base: dict, temperature: float = 20.0) -> nn.Module:  # type: ignore[misc]
        """Build the head."""
        factor = check_number('temperature', temperature, low=0.0, low_open=True, owner=cls.__name__)
        return head_with_classifier(
            base, SEG_CLASSIFIERS, lambda module: cosine_like(module, factor, bias=False), cls.__name__
        )
