# Shows logit adjustment inside the focal loss: rare classes get a head start by their frequency; one line changes.
_base_ = [
    '../_base_/models/atss_mobilenetv2.py', '../_base_/datasets/bccd.py',
    '../_base_/schedules/adamw_400.py', '../_base_/runtime/detection.py'
]
model = dict(
    bbox_head=dict(
        num_classes=3,
        loss_cls=dict(type='imbdense.LogitAdjustLoss', tau=0.5, focal_gamma=2.0, focal_alpha=0.25)))
optim_wrapper = dict(optimizer=dict(lr=2e-3))
