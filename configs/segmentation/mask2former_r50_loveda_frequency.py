# Shows a query-based segmentor in which segments of rare classes are matched with several queries, and a logit
# adjustment of what that leaves of the imbalance. Classes are counted in images. Needs mmdet; for GPUs.
_base_ = [
    '../_base_/models/mask2former_r50.py', '../_base_/datasets/loveda.py',
    '../_base_/schedules/adamw_40k.py', '../_base_/runtime/segmentation.py'
]
num_classes = 7
model = dict(
    decode_head=dict(
        num_classes=num_classes,
        loss_cls=dict(type='imbdense.LogitAdjustLoss', tau=0.5, class_weight=[1.0] * num_classes + [0.1]),
        train_cfg=dict(
            assigner=dict(type='imbdense.FrequencyHungarianAssigner', threshold=0.05),
            sampler=dict(type='imbdense.TargetMaskSampler'))))
default_hooks = dict(checkpoint=dict(interval=4000), class_counts=dict(count='images'))
optim_wrapper = dict(
    optimizer=dict(lr=1e-4, weight_decay=0.05),
    clip_grad=dict(max_norm=0.01, norm_type=2),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1), decode_head=dict(lr_mult=1.0))))
