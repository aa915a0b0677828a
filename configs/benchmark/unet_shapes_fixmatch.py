# Shows FixMatch on small generated pictures of four shapes with a tiny U-Net, 20 of 400 labelled. It takes seconds, so
# that `imbdense benchmark ssl-curve` can train it some dozen times; the pictures come from `python -m
# imbdense.benchmark.segmentation_shapes`.
_base_ = ['../_base_/datasets/shapes_semi.py', '../_base_/schedules/adamw_200.py', '../_base_/runtime/segmentation.py']
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='imbdense.SemiSegmentor',
    consistency='fixmatch',
    teacher='ema',
    pseudo=dict(type='imbdense.FixedThreshold', threshold=0.95),
    ramp=75,
    segmentor=dict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='SegDataPreProcessor', mean=[110.0] * 3, std=[40.0] * 3, bgr_to_rgb=True, pad_val=0, seg_pad_val=255,
            size={{_base_.crop_size}}, test_cfg=dict(size_divisor=4)),
        backbone=dict(
            type='UNet', base_channels=8, num_stages=3, strides=(1, 1, 1), enc_num_convs=(2, 2, 2),
            dec_num_convs=(2, 2), downsamples=(True, True), enc_dilations=(1, 1, 1), dec_dilations=(1, 1),
            norm_cfg=norm_cfg),
        decode_head=dict(
            type='FCNHead', in_channels=8, in_index=2, channels=16, num_convs=1, concat_input=False, dropout_ratio=0.1,
            num_classes=4, norm_cfg=norm_cfg, align_corners=False,
            init_cfg=dict(type='Normal', std=0.1, override=dict(name='conv_seg')),
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
        train_cfg=dict(),
        test_cfg=dict(mode='whole')))
optim_wrapper = dict(optimizer=dict(lr=5e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=20),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=20, end=150, T_max=130, eta_min=1e-5),
]
train_cfg = dict(max_iters=150, val_interval=150)
default_hooks = dict(checkpoint=dict(interval=150, max_keep_ckpts=1, save_best=None))
custom_hooks = [dict(type='imbdense.EMATeacherHook', momentum=0.95)]
