# Shows RetinaNet on blood cells without focal loss: plain binary cross-entropy on all anchors, scaled to the size of
# the box loss, and a bias that starts at the measured share of foreground (21 anchors in 1000, over 3 classes). For a
# CPU: minutes.
_base_ = [
    '../_base_/models/retinanet_mobilenetv2.py', '../_base_/datasets/bccd.py',
    '../_base_/schedules/adamw_400.py', '../_base_/runtime/detection.py'
]
model = dict(
    bbox_head=dict(
        type='imbdense.SamplingFreeRetinaHead',
        num_classes=3,
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
        balancer=dict(type='imbdense.GuidedLossBalancer')))
custom_hooks = [dict(type='imbdense.PriorBiasInitHook')]
optim_wrapper = dict(optimizer=dict(lr=2e-3))
