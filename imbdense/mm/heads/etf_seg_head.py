"""``imbdense.ETFSegHead``."""

from __future__ import annotations

from typing import Any

from torch import nn

from imbdense.mm.class_counts import ClassCountsSource
from imbdense.mm.heads.classifier_swap import head_with_classifier
from imbdense.mm.heads.fixed_frame import frame_classifier
from imbdense.mm.heads.normed_seg_head import SEG_CLASSIFIERS
from imbdense.registry import MODELS


@MODELS.register_module()
class ETFSegHead:
    """Any mmseg decode head with a classifier that is fixed and not learned: a simplex ETF or an orthogonal frame.

    ``dict(type='imbdense.ETFSegHead', base=dict(type='FCNHead', ...))`` builds the base head in the default scope and
    returns **that head**, with ``conv_seg`` replaced by 1 x 1 convolution -> normalisation -> products with fixed
    vectors, see :class:`imbdense.nn.classifiers.FixedFrameClassifier`. Mask2Former's and MaskFormer's ``cls_embed``
    works too ("no object" is one more vector); there the normalisation is a LayerNorm, because all decoder layers
    share it. A loss in ``loss_decode`` that wants to know the frame (``imbdense.DotRegressionLoss``) is told.

    State: the buffer ``conv_seg.etf`` in the state_dict; never trained, not drawn anew on resuming.

    Args:
        base: config of the head; all its options stay where they are. It must have one channel per class.
        frame: 'etf' (largest equal angles), 'of' (orthogonal) or 'gof' (orthogonal, lengths ~ counts^gamma).
        dim: width of the features in front of the frame; ``None`` = the smallest that holds it (K - 1 for 'etf', K
            otherwise): there, nothing of a feature is invisible to the classifier.
        class_counts: for 'gof': list, path or content of a ``class_counts.json``.
        count: unit to take from a file; ``None`` = 'pixels' if counted, else 'instances'.
        gamma: for 'gof': 1/4 = what squared error converges to, 0 = 'of', -1/4 = long vectors for the tail.
        scale: factor of the logits, > 0.
        norm_cfg: of the features; ``None`` = that of the base head, BN if it has none.
        seed: of the rotation of the frame.

    Raises:
        ValueError: a head without such a classifier or with one output channel; arguments that do not fit.
    """

    card = 'fixed_classifiers'
    tasks = ('segmentation',)

    def __new__(  # type: ignore[misc]
        cls,
        base: dict,
        frame: str = 'etf',
        dim: int | None = None,
        class_counts: ClassCountsSource | None = None,
        count: str | None = None,
        gamma: float = 0.25,
        scale: float = 1.0,
        norm_cfg: dict[str, Any] | None = None,
        seed: int = 0,
    ) -> nn.Module:
        """Build the head."""
        owner = cls.__name__

        def make(module: nn.Module) -> nn.Module:
            spatial = isinstance(module, nn.Conv2d)
            classes = module.out_channels if spatial else module.out_features
            if classes < 2:
                raise ValueError(f'{owner}: a frame needs one vector per class; set out_channels=num_classes in base.')
            own = base.get('norm_cfg') or dict(type='BN')
            return frame_classifier(
                module.in_channels if spatial else module.in_features, classes, frame=frame, dim=dim,
                class_counts=class_counts, count=count, gamma=gamma, scale=scale, seed=seed, spatial=spatial,
                norm_cfg=norm_cfg or (own if spatial else dict(type='LN')), owner=owner,
            )  # fmt: skip

        head = head_with_classifier(base, SEG_CLASSIFIERS, make, owner)
        classifier = next(getattr(head, name) for name in SEG_CLASSIFIERS if hasattr(head, name))
        losses = getattr(head, 'loss_decode', ())
        for loss in losses if isinstance(losses, nn.ModuleList) else (losses,):
            if hasattr(loss, 'bind_frame'):
                loss.bind_frame(classifier, simplex=frame == 'etf')
        return head
