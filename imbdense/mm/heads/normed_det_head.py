"""``imbdense.NormedDetHead``."""

from __future__ import annotations

from torch import nn

from imbdense.core.checks import check_number
from imbdense.mm.heads.classifier_swap import cosine_like, head_with_classifier
from imbdense.registry import MODELS

DET_CLASSIFIERS = (
    'fc_cls', 'cls_branches', 'cls_embed', 'retina_cls', 'atss_cls', 'gfl_cls', 'vfnet_cls', 'tood_cls', 'rtm_cls',
    'reppoints_cls_out', 'multi_level_conv_cls', 'cls_score', 'conv_cls',
)  # fmt: skip
"""Names of the last classification layer in mmdet's heads; conv_cls is last, because heads derived from AnchorHead
replace it by one of their own."""


@MODELS.register_module()
class NormedDetHead:
    """Any mmdet dense, query or RoI head with a cosine classifier.

    ``bbox_head=dict(type='imbdense.NormedDetHead', base=dict(type='RetinaHead', ...))`` builds the base head and
    returns **that head** with its last classification layer replaced (3 x 3 kernels too, see
    :class:`imbdense.nn.classifiers.CosineConv2d`). The bias stays: with one sigmoid per class only it can make all
    scores small, and the heads start it at the prior of the foreground. RoI heads can also take the layer alone:
    ``cls_predictor_cfg=dict(type='imbdense.CosineLinear')``.

    Args:
        base: config of the head.
        temperature: factor of the cosines, > 0.
        bias: keep the bias.
        classifier: attribute of the head to replace; ``None`` = looked up among those of mmdet's heads.
        train_cfg, test_cfg, share_pred_layer, num_pred_layer, as_two_stage: what mmdet's detectors put into the config
            of their head; handed on to ``base``.

    Raises:
        ValueError: a head without such a classifier.
    """

    card = 'fixed_classifiers'
    tasks = ('detection',)

    def __new__(  # type: ignore[misc]
        cls,
        base: dict,
        temperature: float = 20.0,
        bias: bool = True,
        classifier: str | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        share_pred_layer: bool | None = None,
        num_pred_layer: int | None = None,
        as_two_stage: bool | None = None,
    ) -> nn.Module:
        """Build the head."""
        factor = check_number('temperature', temperature, low=0.0, low_open=True, owner=cls.__name__)
        names = DET_CLASSIFIERS if classifier is None else (classifier,)
        handed = dict(
            train_cfg=train_cfg, test_cfg=test_cfg, share_pred_layer=share_pred_layer, num_pred_layer=num_pred_layer,
            as_two_stage=as_two_stage,
        )  # fmt: skip
        return head_with_classifier(
            base, names, lambda module: cosine_like(module, factor, bool(bias)), cls.__name__,
            extra={key: value for key, value in handed.items() if value is not None},
        )  # fmt: skip
