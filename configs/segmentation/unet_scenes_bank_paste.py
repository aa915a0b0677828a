# Shows rare-class copy-paste on the embedded aerial scenes: objects of the rare classes are cut out once and pasted
# into every image before the crop, as many of each class; the ledger tells the loss what that leaves of the imbalance.
# Make the bank first: imbdense generate bank configs/segmentation/unet_scenes_bank_paste.py --out data/scenes/bank
_base_ = [
    '../_base_/models/unet_small.py', '../_base_/datasets/scenes.py',
    '../_base_/schedules/adamw_600.py', '../_base_/runtime/segmentation.py'
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='imbdense.LoadSegMask'),
    dict(
        type='imbdense.BankPaste',
        bank='data/scenes/bank',
        quota=1,
        classes=[4, 5, 6, 7, 8, 9],
        flips=['horizontal', 'vertical']),
    dict(type='RandomCrop', crop_size={{_base_.crop_size}}),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
model = dict(decode_head=dict(loss_decode=dict(type='imbdense.LogitAdjustLoss', tau=1.0)))
