# Shows the rebalanced run on the embedded aerial scenes: crops around a rare class, a logit
# adjustment of what the crops leave of the imbalance (the ledger printed at the start tells how much), and a Dice per
# class, which makes false alarms of a rare class cost as much as misses.
_base_ = [
    '../_base_/models/unet_small.py', '../_base_/datasets/scenes.py',
    '../_base_/schedules/adamw_600.py', '../_base_/runtime/segmentation.py'
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='imbdense.LoadSegMask'),
    dict(type='imbdense.RareClassCrop', crop_size={{_base_.crop_size}}, rate=1.0, classes=[4, 5, 6, 7, 8, 9]),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
model = dict(
    decode_head=dict(
        loss_decode=[
            dict(type='imbdense.LogitAdjustLoss', tau=1.0),
            dict(type='imbdense.PerClassDiceLoss'),
        ]))
