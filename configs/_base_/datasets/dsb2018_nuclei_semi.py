# Nuclei in microscopy with 11 labelled training images of 114. Make the data with: imbdense prepare dsb2018_nuclei
# The 11 labelled images are the first of the folder here; choose yours with `labeled_images` (a number or a list). All
# images of the folder are also read without labels; those that are labelled too are found and dropped.
data_root = 'data/dsb2018_nuclei'
metainfo = dict(
    classes=('background', 'nucleus', 'touching_border'),
    palette=[[40, 40, 60], [90, 170, 230], [255, 120, 40]])
crop_size = (128, 128)
labeled_images = 11
batch_size = 8
geometry = [
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
]
labeled_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='imbdense.LoadSegMask'),
    *geometry,
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
    dict(type='imbdense.LoadSegMask'),
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
