# Shows ChangeViT, with a transformer of 96 channels and 4 blocks so that a CPU trains it. The published ones have
# dim=192 (tiny) or 384 (small), depth=12, image_size=256, and start from the weights that its card names.
_base_ = [
    '../_base_/datasets/dubai_scd_semisynthetic.py', '../_base_/schedules/adamw_200.py',
    '../_base_/runtime/segmentation.py'
]
dim = 96
model = dict(
    type='imbdense.SiameseSegmentor',
    data_preprocessor=dict(
        type='imbdense.DenseDataPreProcessor', dates=2, mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True,
        size_divisor=16, test_cfg=dict(size_divisor=16)),
    backbone=dict(type='imbdense.ChangeViTBackbone', dim=dim, depth=4, num_heads=6, image_size=192),
    neck=dict(type='imbdense.FeatureInjectorNeck', dim=dim, kv_pool=32),
    fusion='conc+diff',
    decode_head=dict(
        type='imbdense.ChangeViTHead',
        in_channels=(64, 128, 256, dim),
        num_classes=2,
        loss_decode=[
            dict(type='CrossEntropyLoss', use_sigmoid=False, loss_name='loss_ce'),
            dict(type='imbdense.PerClassDiceLoss', loss_name='loss_dice')]),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
train_dataloader = dict(batch_size=2)
train_cfg = dict(max_iters=60, val_interval=60)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=10),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=10, end=60, T_max=50, eta_min=1e-5),
]
