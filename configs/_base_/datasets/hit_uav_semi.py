# Thermal drone images with 17 labelled training images of 170. Make the data with: imbdense prepare hit_uav
# The labelled images are the first of the list here; choose yours with `labeled_images` (a number or a list). All
# images of the list are also read without boxes; those that are labelled too are found and dropped.
data_root = 'data/hit_uav'
metainfo = dict(
    classes=('Person', 'Car', 'Bicycle', 'OtherVehicle'),
    palette=[[230, 60, 60], [60, 110, 240], [60, 180, 80], [240, 180, 40]])
labeled_images = 17
batch_size = 8
branches = ['sup', 'unsup_teacher', 'unsup_student']
view_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'homography_matrix')
labeled_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomCrop', crop_size=(256, 320), allow_negative_crop=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='MultiBranch', branch_field=branches, sup=dict(type='PackDetInputs', meta_keys=view_keys)),
]
unlabeled_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadEmptyAnnotations'),
    dict(type='RandomCrop', crop_size=(256, 320), allow_negative_crop=True),  # before the branches
    dict(
        type='MultiBranch',
        branch_field=branches,
        unsup_teacher=[dict(type='RandomFlip', prob=0.5), dict(type='PackDetInputs', meta_keys=view_keys)],
        unsup_student=[
            dict(type='RandomFlip', prob=0.5),
            dict(type='PhotoMetricDistortion'),
            dict(type='PackDetInputs', meta_keys=view_keys),
        ]),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(640, 512), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
training_images = dict(
    type='imbdense.AnyCocoDataset', data_root=data_root, ann_file='annotations/train.json',
    data_prefix=dict(img='images/train'), metainfo=metainfo)
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='imbdense.TwoStreamSampler', batch_size=batch_size, ratio=(1, 1), infinite=True),
    dataset=dict(
        type='imbdense.SemiDataset',
        labeled=dict(training_images, indices=labeled_images, pipeline=labeled_pipeline),
        unlabeled=dict(training_images, pipeline=unlabeled_pipeline)))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='imbdense.AnyCocoDataset', data_root=data_root, ann_file='annotations/val.json',
        data_prefix=dict(img='images/val'), metainfo=metainfo, test_mode=True, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='imbdense.FrequencyGroupedCocoMetric', ann_file=f'{data_root}/annotations/val.json')
test_evaluator = val_evaluator
