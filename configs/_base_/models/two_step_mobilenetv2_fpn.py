# The network of mobilenetv2_fpn.py at both dates, |a - b| per scale, and two heads: changed or not, and into what.
import os

weights = os.path.join(os.environ.get('IMBDENSE_WEIGHTS', 'data/weights'), 'mobilenetv2_1.0_in1k_mmseg.pth')
pretrained = os.path.isfile(weights)
norm_cfg = dict(type='BN', requires_grad=True)
fpn_head = dict(
    type='FPNHead',
    in_channels=[32] * 5,
    in_index=[0, 1, 2, 3, 4],
    feature_strides=[2, 4, 8, 16, 32],
    channels=32,
    dropout_ratio=0.1,
    norm_cfg=norm_cfg,
    align_corners=False,
    init_cfg=dict(type='Normal', std=0.1, override=dict(name='conv_seg')))
model = dict(
    type='imbdense.SiameseSegmentor',
    data_preprocessor=dict(
        type='imbdense.DenseDataPreProcessor', dates=2, mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True,
        size_divisor=32, test_cfg=dict(size_divisor=32)),
    backbone=dict(
        type='MobileNetV2',
        out_indices=(0, 1, 2, 4, 6),
        norm_cfg=norm_cfg,
        frozen_stages=2 if pretrained else -1,
        norm_eval=pretrained,
        init_cfg=dict(type='Pretrained', checkpoint=weights) if pretrained else None),
    neck=dict(type='FPN', in_channels=[16, 24, 32, 96, 320], out_channels=32, num_outs=5, norm_cfg=norm_cfg),
    fusion='diff',
    decode_head=dict(
        type='imbdense.BinaryThenMulticlassHead',
        change_head=dict(**fpn_head, num_classes=2, loss_decode=dict(type='CrossEntropyLoss')),
        type_head=dict(**fpn_head, num_classes=2, loss_decode=dict(type='imbdense.BalancedSoftmaxLoss'))),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
