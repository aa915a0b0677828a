# Dubai aerial images with 4 labelled training images of 36. Make the data with: imbdense prepare dubai_aerial
# The 4 labelled images are the first of the folder here; choose yours with `labeled_images` (a number or a list). All
# images of the folder are also read without labels; those that are labelled too are found and dropped.
data_root = 'data/dubai_aerial'
metainfo = dict(
    classes=('building', 'land', 'road', 'vegetation', 'water'),
    palette=[[60, 16, 152], [132, 41, 246], [110, 193, 228], [254, 221, 58], [226, 169, 41]])
crop_size = (128, 128)
labeled_images = 4
batch_size = 8
geometry = [
    dict(type='RandomResize', scale=(768, 768), ratio_range=(0.5, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
]
labeled_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='imbdense.LoadSegMask'),
    *geometry,
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
unlabeled_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='imbdense.MultiViewSeg',
        weak=geometry,
        strong=[dict(type='PhotoMetricDistortion')],
        num_strong=2),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(768, 768), keep_ratio=True),
    dict(type='imbdense.LoadSegMask'),  # after Resize: scores are counted at the size of the label
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='imbdense.TwoStreamSampler', batch_size=batch_size, ratio=(1, 1), infinite=True),
    dataset=dict(
        type='imbdense.SemiDataset',
        labeled=dict(
            type='imbdense.SegFolderDataset',
            data_root=data_root,
            data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
            metainfo=metainfo,
            indices=labeled_images,
            pipeline=labeled_pipeline),
        unlabeled=dict(
            type='imbdense.UnlabeledSegDataset',
            data_root=data_root,
            data_prefix=dict(img_path='images/train'),
            pipeline=unlabeled_pipeline)))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
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
