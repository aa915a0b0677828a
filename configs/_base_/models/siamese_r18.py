# ResNet-18 with a quarter of its channels for both dates (64 instead of 16 are the usual ones), four scales.
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='imbdense.SiameseSegmentor',
    data_preprocessor=dict(
        type='imbdense.DenseDataPreProcessor', dates=2, mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True,
        size_divisor=32, test_cfg=dict(size_divisor=32)),
    backbone=dict(
        type='ResNetV1c', depth=18, stem_channels=16, base_channels=16, out_indices=(0, 1, 2, 3), norm_cfg=norm_cfg),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
