# FC-Siam-diff (1.35 M parameters): a small encoder for both dates, |a - b| at four scales, date 2 at the bottom.
model = dict(
    type='imbdense.SiameseSegmentor',
    data_preprocessor=dict(
        type='imbdense.DenseDataPreProcessor', dates=2, mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True),
    backbone=dict(type='imbdense.FCSiamEncoder', in_channels=3),
    decode_head=dict(
        type='imbdense.FCSiamHead',
        in_channels=(16, 32, 64, 128, 128),
        num_classes=2,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
    fusion=['diff', 'diff', 'diff', 'diff', 'last'],
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
