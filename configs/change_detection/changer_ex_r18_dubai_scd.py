# Shows ChangerEx: columns and channels change places between the dates inside the encoder, at no cost; dates are warped
# onto one another before their difference is taken.
_base_ = [
    '../_base_/models/siamese_r18.py',
    '../_base_/datasets/dubai_scd_semisynthetic.py', '../_base_/schedules/adamw_200.py',
    '../_base_/runtime/segmentation.py'
]
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    fusion='concat',
    exchange=(None, 'spatial', 'channel', 'channel'),
    decode_head=dict(
        type='imbdense.ChangerHead',
        in_channels=[16, 32, 64, 128],
        in_index=[0, 1, 2, 3],
        channels=32,
        dropout_ratio=0.1,
        num_classes=2,
        norm_cfg=norm_cfg,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)))
