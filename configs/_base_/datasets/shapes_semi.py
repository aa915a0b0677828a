# Small generated pictures of four shapes, 40 x 40, the last class rare: 20 of 400 training images are labelled, the
# others are not. Write them with `python -m imbdense.benchmark.segmentation_shapes`.
data_root = 'data/segmentation_shapes'
metainfo = dict(classes=('ground', 'pond', 'house', 'silo'))
crop_size = (32, 32)
batch_size = 16
labeled_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='imbdense.LoadSegMask'),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
    dict(type='PackSegInputs'),
]
unlabeled_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='imbdense.MultiViewSeg',
        weak=[
            dict(type='RandomCrop', crop_size=crop_size),
            dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
        ],
        strong=[dict(type='PhotoMetricDistortion')]),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='imbdense.LoadSegMask'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=0,
    sampler=dict(type='imbdense.TwoStreamSampler', batch_size=batch_size, ratio=(1, 1), infinite=True),
    dataset=dict(
        type='imbdense.SemiDataset',
        labeled=dict(
            type='imbdense.SegFolderDataset',
            data_root=data_root,
            data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
            metainfo=metainfo,
            indices=20,
            pipeline=labeled_pipeline),
        unlabeled=dict(
            type='imbdense.UnlabeledSegDataset',
            data_root=data_root,
            data_prefix=dict(img_path='images/train'),
            pipeline=unlabeled_pipeline)))
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='imbdense.SegFolderDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/val', seg_map_path='labels/val'),
        metainfo=metainfo,
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='imbdense.ConfusionMetric')
test_evaluator = val_evaluator
