# The U-Net of unet_small.py as student and, where the experiment says so, teacher of a semi-supervised segmentor.
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='imbdense.SemiSegmentor',
    segmentor=dict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='SegDataPreProcessor',
            mean=[127.5] * 3,
            std=[127.5] * 3,
            bgr_to_rgb=True,
            pad_val=0,
            seg_pad_val=255,
            size=(64, 64),
            test_cfg=dict(size_divisor=8)),
        backbone=dict(
            type='UNet',
            base_channels=16,
            num_stages=4,
            strides=(1, 1, 1, 1),
            enc_num_convs=(2, 2, 2, 2),
            dec_num_convs=(2, 2, 2),
            downsamples=(True, True, True),
            enc_dilations=(1, 1, 1, 1),
            dec_dilations=(1, 1, 1),
            norm_cfg=norm_cfg),
        decode_head=dict(
            type='FCNHead',
            in_channels=16,
            in_index=3,
            channels=16,
            num_convs=1,
            concat_input=False,
            dropout_ratio=0.1,
            num_classes=10,
            norm_cfg=norm_cfg,
            align_corners=False,
            init_cfg=dict(type='Normal', std=0.1, override=dict(name='conv_seg')),
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
        train_cfg=dict(),
        test_cfg=dict(mode='whole')))
