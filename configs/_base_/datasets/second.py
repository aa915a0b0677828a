# SECOND, 6 land covers, 512 x 512 pairs; a fifth of the training pairs is val. Make it: imbdense prepare second SOURCE
data_root = 'data/second'
crop_size = (512, 512)
train_pipeline = [
    dict(type='imbdense.LoadChangePair'),
    dict(type='imbdense.SwapDates', prob=0.5),
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
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='imbdense.ChangePairDataset',
        data_root=data_root,
        ann_file='splits/train.txt',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='imbdense.ChangePairDataset',
        data_root=data_root,
        ann_file='splits/val.txt',
        pipeline=test_pipeline))
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='imbdense.ChangePairDataset',
        data_root=data_root,
        ann_file='splits/test.txt',
        pipeline=test_pipeline))
val_evaluator = [dict(type='imbdense.ConfusionMetric'), dict(type='imbdense.SCDMetric', protocol=('sem', 'from_to'))]
test_evaluator = val_evaluator
