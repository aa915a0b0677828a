# Shows a mean teacher for ATSS on 17 labelled thermal images and 153 unlabelled ones: of each class as many boxes
# are learned as the labels would make, and boxes in doubt are neither object nor background. CPU minutes.
_base_ = [
    '../_base_/models/atss_mobilenetv2_semi.py', '../_base_/datasets/hit_uav_semi.py',
    '../_base_/schedules/adamw_400.py', '../_base_/runtime/detection.py'
]
model = dict(
    detector=dict(bbox_head=dict(num_classes=4)),
    pseudo_labeler=dict(type='imbdense.QuantileThreshold', keep='auto', negative='half'),
    burn_in=150,
    ramp_up=100)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
custom_hooks = [dict(type='imbdense.EMATeacherHook', momentum=0.99)]
