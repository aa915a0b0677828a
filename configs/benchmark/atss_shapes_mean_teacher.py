# Shows a mean teacher with one threshold for all classes on a domain shift: what ReDB is compared with in
# imbdense benchmark adaptation. Four epochs of 56 steps, about a minute of CPU time.
_base_ = [
    '../_base_/models/atss_mobilenetv2_semi.py', '../_base_/datasets/shapes_adaptation.py',
    '../_base_/runtime/detection.py'
]
epochs, steps = 4, 56
model = dict(
    detector=dict(bbox_head=dict(num_classes=3)),
    pseudo_labeler=dict(type='imbdense.FixedThreshold', threshold=0.3),
    ramp_up=steps)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-2), clip_grad=dict(max_norm=10.0))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=False, T_max=epochs * steps, eta_min=1e-5)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=epochs)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
custom_hooks = [dict(type='imbdense.EMATeacherHook', momentum=0.98)]
