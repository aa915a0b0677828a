# Generated pairs of aerial scenes with the land cover of both dates.
# Make them with: imbdense generate pairs --preset demo --out data/pairs
data_root = 'data/pairs'
crop_size = (96, 96)
train_pipeline = [
    dict(type='imbdense.LoadChangePair'),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
    dict(type='imbdense.PerDate', transforms=[dict(type='PhotoMetricDistortion')]),
    dict(type='imbdense.PackChangeInputs'),
]
test_pipeline = [
    dict(type='imbdense.LoadChangePair'),
    dict(type='imbdense.PackChangeInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='imbdense.ChangePairDataset',
        data_root=data_root,
        ann_file='splits/train.txt',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='imbdense.ChangePairDataset',
        data_root=data_root,
        ann_file='splits/val.txt',
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='imbdense.ConfusionMetric')  # of the change map; see imbdense.SCDMetric for semantic change
test_evaluator = val_evaluator
