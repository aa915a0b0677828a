# Shows BIT: four semantic tokens of each date refine its features before the difference is taken.
_base_ = [
    '../_base_/models/siamese_r18.py',
    '../_base_/datasets/dubai_scd_semisynthetic.py', '../_base_/schedules/adamw_200.py',
    '../_base_/runtime/segmentation.py'
]
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    backbone=dict(num_stages=3, strides=(1, 2, 1), dilations=(1, 1, 1), out_indices=(2,)),
    fusion=dict(type='imbdense.BITFusion', in_channels=64, channels=32),
    decode_head=dict(
        type='FCNHead',
        in_channels=32,
        in_index=0,
        channels=32,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.0,
        num_classes=2,
        norm_cfg=norm_cfg,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)))
