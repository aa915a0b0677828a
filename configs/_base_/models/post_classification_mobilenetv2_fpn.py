# The segmentor of mobilenetv2_fpn.py at each of two dates, and the comparison of what it says. Not trained: give the
# checkpoint of the segmentor to `imbdense test`.
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='imbdense.PostClassificationChange',
    mode='bayes',
    segmentor=dict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='SegDataPreProcessor',
            mean=[127.5] * 3,
            std=[127.5] * 3,
            bgr_to_rgb=True,
            test_cfg=dict(size_divisor=32)),
        backbone=dict(type='MobileNetV2', out_indices=(0, 1, 2, 4, 6), norm_cfg=norm_cfg),
        neck=dict(type='FPN', in_channels=[16, 24, 32, 96, 320], out_channels=32, num_outs=5, norm_cfg=norm_cfg),
        decode_head=dict(
            type='FPNHead',
            in_channels=[32] * 5,
            in_index=[0, 1, 2, 3, 4],
            feature_strides=[2, 4, 8, 16, 32],
            channels=32,
            dropout_ratio=0.1,
            num_classes=5,
            norm_cfg=norm_cfg,
            align_corners=False,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
        train_cfg=dict(),
        test_cfg=dict(mode='whole')))
