# Shows a geospatial foundation model as the encoder of a change detector: the six bands of Landsat are those that
# Prithvi knows. Small and random here; with the released weights dim=1024, depth=24, num_heads=16,
# out_indices=(5, 11, 17, 23), checkpoint='Prithvi_EO_V2_300M.pt', embed_dim=1024 and in_channels=[1024] * 4.
_base_ = [
    '../_base_/datasets/landsat_taizhou_cd.py', '../_base_/schedules/adamw_200.py', '../_base_/runtime/segmentation.py'
]
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='imbdense.SiameseSegmentor',
    data_preprocessor=dict(
        type='imbdense.DenseDataPreProcessor', dates=2, mean=[127.5] * 6, std=[127.5] * 6, size_divisor=16,
        test_cfg=dict(size_divisor=16)),
    backbone=dict(
        type='imbdense.PrithviViT',
        bands=('blue', 'green', 'red', 'nir_narrow', 'swir_1', 'swir_2'),
        dim=64,
        depth=4,
        num_heads=4,
        out_indices=(0, 1, 2, 3),
        checkpoint=None),
    neck=dict(type='Feature2Pyramid', embed_dim=64, rescales=[4, 2, 1, 0.5], norm_cfg=norm_cfg),
    fusion='diff',
    decode_head=dict(
        type='FPNHead',
        in_channels=[64] * 4,
        in_index=[0, 1, 2, 3],
        feature_strides=[4, 8, 16, 32],
        channels=32,
        dropout_ratio=0.1,
        num_classes=2,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
