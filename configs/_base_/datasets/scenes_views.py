# The images of the generated aerial scenes without their labels, two independently augmented crops of each.
# Make them with: imbdense generate scenes --preset demo --out data/scenes
data_root = 'data/scenes'
crop_size = (48, 48)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='imbdense.TwoCropViews',
        transforms=[
            dict(type='RandomCrop', crop_size=crop_size),
            dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
            dict(type='PhotoMetricDistortion'),
        ]),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='imbdense.UnlabeledSegDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/train'),
        broken='skip',
        pipeline=train_pipeline))
