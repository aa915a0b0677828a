# The generated aerial scenes: human labels for the images of selected.txt, autolabels for all others.
# Make the data with: imbdense generate scenes --preset demo --out data/scenes
# selected.txt: one image name per line (imbdense select apply); autolabels/: imbdense select autolabel --task
# segmentation, or imbdense pseudo-label; both with --out data/scenes/autolabels.
data_root = 'data/scenes'
crop_size = (64, 64)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='imbdense.LoadSegMask'),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='imbdense.LoadSegMask'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='imbdense.AutolabelDataset',
        human=dict(
            type='imbdense.SceneDataset',
            data_root=data_root,
            split='train',
            ann_file='selected.txt',
            pipeline=train_pipeline),
        autolabels=dict(
            type='imbdense.SceneDataset',
            data_root=data_root,
            split='train',
            ann_file='autolabels/images.txt',
            label_dir='autolabels/labels',
            pipeline=train_pipeline)))
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
