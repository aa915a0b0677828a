# New and demolished buildings (kinds of change), 5000 pairs of 1024 px. Make it with: imbdense prepare s2looking
data_root = 'data/s2looking'
crop_size = (512, 512)
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
    batch_size=4,
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
val_evaluator = dict(type='imbdense.ConfusionMetric')  # of the change map, kind by kind
test_evaluator = val_evaluator
