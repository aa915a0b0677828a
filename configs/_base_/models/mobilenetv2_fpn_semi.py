# The pyramid of mobilenetv2_fpn.py as student and, where the experiment says so, teacher, for semi-supervised training.
# ImageNet weights: the folder IMBDENSE_WEIGHTS (default data/weights); without the file the backbone starts at random.
import os

weights = os.path.join(os.environ.get('IMBDENSE_WEIGHTS', 'data/weights'), 'mobilenetv2_1.0_in1k_mmseg.pth')
pretrained = os.path.isfile(weights)
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='imbdense.SemiSegmentor',
    segmentor=dict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='SegDataPreProcessor',
            mean=[127.5] * 3,  # the normalisation these weights were trained with, not the usual one of ImageNet
            std=[127.5] * 3,
            bgr_to_rgb=True,
            pad_val=0,
            seg_pad_val=255,
            size=(128, 128),
            test_cfg=dict(size_divisor=32)),
        backbone=dict(
            type='MobileNetV2',
            out_indices=(0, 1, 2, 4, 6),
            norm_cfg=norm_cfg,
            frozen_stages=2 if pretrained else -1,
            norm_eval=pretrained,  # batches of a few crops would spoil the statistics of the weights
            init_cfg=dict(type='Pretrained', checkpoint=weights) if pretrained else None),
        neck=dict(type='FPN', in_channels=[16, 24, 32, 96, 320], out_channels=32, num_outs=5, norm_cfg=norm_cfg),
        decode_head=dict(
            type='FPNHead',
            in_channels=[32] * 5,
            in_index=[0, 1, 2, 3, 4],
            feature_strides=[2, 4, 8, 16, 32],
            channels=32,
            dropout_ratio=0.1,
            num_classes=3,
            norm_cfg=norm_cfg,
            align_corners=False,
            # The host starts the classifier at std 0.01: the first steps then push rare classes down everywhere.
            init_cfg=dict(type='Normal', std=0.1, override=dict(name='conv_seg')),
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
        train_cfg=dict(),
        test_cfg=dict(mode='whole')))
