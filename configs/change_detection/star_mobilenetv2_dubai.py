# Shows STAR: change detection learned from labels of single dates. Aerial images with land cover are paired at random;
# real pairs are only tested. The head is that of the authors: both orders, shared convolutions.
_base_ = [
    '../_base_/models/mobilenetv2_fpn.py',
    '../_base_/datasets/dubai_scd_semisynthetic.py', '../_base_/schedules/adamw_200.py',
    '../_base_/runtime/segmentation.py'
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='imbdense.LoadSegMask'),
    dict(type='RandomResize', scale=(768, 768), ratio_range=(0.5, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(192, 192)),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        type='imbdense.SegFolderDataset',
        data_root='data/dubai_aerial',
        ann_file='',
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        metainfo=dict(classes=('building', 'land', 'road', 'vegetation', 'water')),
        pipeline=train_pipeline))
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='imbdense.SiameseSegmentor',
    data_preprocessor=dict(
        type='imbdense.DenseDataPreProcessor', dates=2,
        batch_augments=[dict(type='imbdense.STARPairing', least_change=0.1)]),
    decode_head=dict(in_channels=[64] * 5, num_classes=2),
    fusion='concat',
    symmetric=True)
default_hooks = dict(class_counts=None)  # it would count land cover, but the loss sees change
