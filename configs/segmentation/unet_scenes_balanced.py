# Shows the rebalanced run on the embedded aerial scenes: crops that hold a rare class half of the time, and a loss that
# corrects what of the imbalance the crops leave (the ledger printed at the start tells how much that is).
_base_ = [
    '../_base_/models/unet_small.py', '../_base_/datasets/scenes.py',
    '../_base_/schedules/adamw_400.py', '../_base_/runtime/segmentation.py'
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
model = dict(decode_head=dict(loss_decode=dict(type='imbdense.LogitAdjustLoss', tau=0.5)))
