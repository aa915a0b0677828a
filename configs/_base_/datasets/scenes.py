# Generated aerial scenes, 10 classes. Make them with: imbdense generate scenes --preset demo --out data/scenes
data_root = 'data/scenes'
crop_size = (64, 64)  # small: a crop around a rare object then holds a good share of it
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
        type='imbdense.SceneDataset',
        data_root=data_root,
        split='train',
        pipeline=train_pipeline))
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
