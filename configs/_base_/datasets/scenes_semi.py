# The generated aerial scenes with ten labelled training images; the other images of the folder are unlabelled (those
# that are labelled too are found and dropped). Half of each batch is labelled. A weak and two strong views per image.
data_root = 'data/scenes'
crop_size = (64, 64)
labeled_images = 10
batch_size = 8
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
            type='imbdense.SceneDataset',
            data_root=data_root,
            split='train',
            indices=labeled_images,
            pipeline=labeled_pipeline),
        unlabeled=dict(
            type='imbdense.UnlabeledSegDataset',
            data_root=data_root,
            data_prefix=dict(img_path='images/train'),
            broken='skip',
            pipeline=unlabeled_pipeline)))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='imbdense.SceneDataset',
        data_root=data_root,
        split='val',
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='imbdense.ConfusionMetric')
test_evaluator = val_evaluator
