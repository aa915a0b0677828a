# Shows a small transformer on the embedded scenes with rare-class crops and the loss that corrects the rest; one GPU.
_base_ = [
    '../_base_/models/segformer_b0.py', '../_base_/datasets/scenes.py',
    '../_base_/schedules/adamw_40k.py', '../_base_/runtime/segmentation.py'
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='imbdense.LoadSegMask'),
    dict(type='imbdense.RareClassCrop', crop_size={{_base_.crop_size}}, rate=0.5),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
model = dict(
    data_preprocessor=dict(size={{_base_.crop_size}}),
    decode_head=dict(num_classes=10, loss_decode=dict(type='imbdense.LogitAdjustLoss', tau=0.5)),
    test_cfg=dict(crop_size={{_base_.crop_size}}, stride={{_base_.crop_size}}))
default_hooks = dict(checkpoint=dict(interval=4000))
