# Shows the DETR family on small objects for a GPU: images with a rare class are drawn more often; the losses stay.
_base_ = [
    '../_base_/models/dino_r50.py', '../_base_/datasets/hit_uav.py',
    '../_base_/schedules/detr_12k.py', '../_base_/runtime/detection.py'
]
model = dict(bbox_head=dict(num_classes=4))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='RandomChoiceResize', scales=[(640, 512), (800, 640), (960, 768)], keep_ratio=True),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(
    batch_size=2,
    sampler=dict(type='imbdense.RepeatFactorSampler', infinite=True),
    dataset=dict(pipeline=train_pipeline))
default_hooks = dict(checkpoint=dict(interval=1000))
