# Shows training on all anchors without focal loss: plain binary cross-entropy, scaled to the size of the box losses,
# and a bias that starts at the measured share of foreground (9 anchors in 1000, over 4 classes). The rest is that of
# atss_mobilenetv2_hit_uav_focal.py.
_base_ = [
    '../_base_/models/atss_mobilenetv2.py', '../_base_/datasets/hit_uav.py',
    '../_base_/schedules/adamw_400.py', '../_base_/runtime/detection.py'
]
model = dict(
    bbox_head=dict(
        type='imbdense.SamplingFreeATSSHead',
        num_classes=4,
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
        balancer=dict(type='imbdense.GuidedLossBalancer')))
custom_hooks = [dict(type='imbdense.PriorBiasInitHook')]
optim_wrapper = dict(optimizer=dict(lr=2e-3))
