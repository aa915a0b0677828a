# Change, Landsat, 6 bands, sparse labels, 18 + 7 tiles. Make it with: imbdense prepare landsat_taizhou_cd
data_root = 'data/landsat_taizhou_cd'
train_pipeline = [
    dict(type='imbdense.LoadChangePair'),
    dict(type='RandomCrop', crop_size=(64, 64)),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
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
val_evaluator = dict(type='imbdense.ConfusionMetric')
test_evaluator = val_evaluator
