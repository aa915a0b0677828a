# Shows what 103 unlabelled images add to 11 labelled ones: a mean teacher labels them, with a threshold per class, so
# that the touching border (0.6 % of the pixels) is labelled in the same share as the other classes. CPU minutes.
_base_ = [
    '../_base_/models/mobilenetv2_fpn_semi.py', '../_base_/datasets/dsb2018_nuclei_semi.py',
    '../_base_/schedules/adamw_400.py', '../_base_/runtime/segmentation.py'
]
model = dict(
    segmentor=dict(decode_head=dict(
        num_classes=3,
        loss_decode=[dict(type='imbdense.LogitAdjustLoss', tau=0.5), dict(type='imbdense.PerClassDiceLoss')])),
    consistency='fixmatch',
    pseudo=dict(type='imbdense.ClassBalancedThreshold', start=0.5, end=0.8, step=0.1, round_steps=100),
    ramp=200)
custom_hooks = [
    dict(type='imbdense.EMATeacherHook', momentum=0.99),
    dict(type='imbdense.RareCollapseHook', interval=20),
]
