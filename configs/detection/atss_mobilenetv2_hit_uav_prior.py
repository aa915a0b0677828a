# Shows a detector that starts at what it will see: anchors are counted per class before training, the class logits
# begin at these frequencies, and the test thresholds are the measured shares. Model, loss and budget are those of the
# sibling atss_mobilenetv2_hit_uav_focal.py.
_base_ = [
    '../_base_/models/atss_mobilenetv2.py', '../_base_/datasets/hit_uav.py',
    '../_base_/schedules/adamw_400.py', '../_base_/runtime/detection.py'
]
model = dict(bbox_head=dict(num_classes=4), test_cfg=dict(score_thr='adaptive'))
optim_wrapper = dict(optimizer=dict(lr=2e-3))
custom_hooks = [
    dict(type='imbdense.PriorBiasInitHook', per_class=True),
    dict(type='imbdense.AdaptiveScoreThrHook', per_class=True),
]
