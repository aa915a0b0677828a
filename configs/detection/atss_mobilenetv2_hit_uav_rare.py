# Shows what brings rare objects up where most images lack them: draw each class equally often, and crop around the
# rarer objects of the image. Model, loss and budget are those of atss_mobilenetv2_hit_uav_focal.py.
_base_ = [
    '../_base_/models/atss_mobilenetv2.py', '../_base_/datasets/hit_uav.py',
    '../_base_/schedules/adamw_400.py', '../_base_/runtime/detection.py'
]
model = dict(bbox_head=dict(num_classes=4))
optim_wrapper = dict(optimizer=dict(lr=2e-3))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='imbdense.RareBoxCrop', crop_size=(256, 320), rate=1.0),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(
    sampler=dict(type='imbdense.BalancedClassSampler', infinite=True),
    dataset=dict(pipeline=train_pipeline))
