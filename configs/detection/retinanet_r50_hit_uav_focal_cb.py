# Shows a dense detector for a GPU with the class-balanced focal loss; anchors start at 16 pixels.
_base_ = [
    '../_base_/models/retinanet_r50.py', '../_base_/datasets/hit_uav.py',
    '../_base_/schedules/sgd_6k.py', '../_base_/runtime/detection.py'
]
model = dict(
    bbox_head=dict(
        num_classes=4,
        anchor_generator=dict(octave_base_scale=2),
        loss_cls=dict(type='imbdense.SigmoidFocalCBLoss', focal_gamma=2.0)))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
default_hooks = dict(checkpoint=dict(interval=500))
