# The objects of the generated aerial scenes as boxes: human labels for the images of annotations/selected.json,
# autolabels for all others.
# Make the data with: imbdense generate scenes --preset demo --out data/scenes
# selected.json: imbdense select apply SEL --ann annotations/train.json; autolabels.json: imbdense select autolabel with
# --out data/scenes/autolabels (imbdense pseudo-label writes pseudo_labels.json there, of the same form).
data_root = 'data/scenes'
metainfo = dict(classes=('vegetation', 'vehicle', 'truck', 'two_wheeler', 'pole_sign', 'fence', 'clutter'))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomCrop', crop_size=(160, 160), allow_negative_crop=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(256, 256), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
training_images = dict(
    type='imbdense.AnyCocoDataset', data_root=data_root, data_prefix=dict(img='images/train'), metainfo=metainfo,
    pipeline=train_pipeline)
train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='imbdense.AutolabelDataset',
        human=dict(training_images, ann_file='annotations/selected.json'),
        autolabels=dict(training_images, ann_file='autolabels/autolabels.json')))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='imbdense.AnyCocoDataset', data_root=data_root, ann_file='annotations/val.json',
        data_prefix=dict(img='images/val'), metainfo=metainfo, test_mode=True, indices=20, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='imbdense.FrequencyGroupedCocoMetric', ann_file=f'{data_root}/annotations/val.json')
test_evaluator = val_evaluator
