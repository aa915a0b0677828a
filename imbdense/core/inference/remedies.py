"""From the main cause of a class's loss to the component that mends it, with the line for the config."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Remedy:
    """What to do: ``text`` in words, ``config`` a line for the config (or a command)."""

    text: str
    config: str


DETECTION_REMEDIES: dict[str, tuple[Remedy, ...]] = {
    'threshold': (
        Remedy(
            'ranking/threshold: the model ranks the class well, but the score threshold, the cap on the detections per '
            'image or its prior cuts it off. Lower the cuts (for the baseline too)',
            'model.test_cfg: score_thr=1e-4, max_per_img=300 (two-stage: model.test_cfg.rcnn)',
        ),
        Remedy(
            'and calibrate the scores on labelled images, without training',
            'imbdense calibrate CONFIG CKPT --method norcal  ->  '
            "custom_hooks=[dict(type='imbdense.CalibrationHook', file='calibration.json')]",
        ),
    ),
    'classification': (
        Remedy(
            'the boxes are there, but carry another class: train with the prior in the loss',
            "loss_cls=dict(type='imbdense.BalancedSoftmaxLoss')  # sigmoid heads: 'imbdense.LogitAdjustLoss', "
            'use_sigmoid=True, tau=0.5',
        ),
        Remedy(
            'and show the class more often',
            "train_dataloader.sampler=dict(type='imbdense.BalancedClassSampler')",
        ),
    ),
    'ranking': (
        Remedy(
            'its objects score below background: the detector has hardly learned the class. Show it more often',
            "train_dataloader.sampler=dict(type='imbdense.RepeatFactorSampler')",
        ),
        Remedy(
            'and crop at its objects, so that they make up more of a batch',
            "train_pipeline: dict(type='imbdense.RareBoxCrop', crop_size=(H, W))",
        ),
    ),
    'localisation': (
        Remedy(
            'boxes come near but not onto the objects: train and test at a higher resolution, or on crops',
            "train_pipeline: dict(type='imbdense.RareBoxCrop', crop_size=(H, W))",
        ),
    ),
    'proposals': (
        Remedy(
            'no box comes near the objects: look at the anchor sizes (and at more proposals per image) first',
            'model.rpn_head.anchor_generator: scales, ratios; model.test_cfg.rpn: max_per_img=2000',
        ),
        Remedy(
            'and give the proposal stage more of the class to learn from',
            "train_pipeline: dict(type='imbdense.RareBoxCrop', crop_size=(H, W))",
        ),
    ),
}
"""By cause of :data:`imbdense.core.inference.detection_diagnosis.DETECTION_CAUSES`."""

SEGMENTATION_REMEDIES: dict[str, tuple[Remedy, ...]] = {
    'prior': (
        Remedy(
            'prior: the model knows the class, but its prior loses the argmax. Shift the logits, without training',
            'imbdense calibrate CONFIG CKPT --method logit-adjust  ->  '
            "custom_hooks=[dict(type='imbdense.CalibrationHook', file='calibration.json')]",
        ),
        Remedy(
            'or train with the prior in the loss',
            "loss_decode=dict(type='imbdense.LogitAdjustLoss', tau=0.5)",
        ),
    ),
    'small': (
        Remedy(
            'lost in small parts: crop at them while training',
            "train_pipeline: dict(type='imbdense.RareClassCrop', crop_size=(H, W))",
        ),
        Remedy(
            'and count every class alike, however few pixels it has',
            "loss_decode=[dict(type='CrossEntropyLoss'), dict(type='imbdense.PerClassDiceLoss')]",
        ),
    ),
    'boundary': (
        Remedy(
            'lost at borders: a region loss beside cross-entropy, and a finer output stride',
            "loss_decode=[dict(type='CrossEntropyLoss'), dict(type='imbdense.PerClassDiceLoss')]",
        ),
    ),
    'classification': (
        Remedy(
            'the model does not tell the class from others: show it more often',
            "train_pipeline: dict(type='imbdense.RareClassCrop', crop_size=(H, W))",
        ),
        Remedy(
            'and weigh it up while it learns',
            "loss_decode=dict(type='imbdense.BalancedSoftmaxLoss')",
        ),
    ),
}
"""By cause of :data:`imbdense.core.inference.segmentation_diagnosis.SEGMENTATION_CAUSES`."""
