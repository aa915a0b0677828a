# Drawn shapes, three classes 100 : 10 : 1: labelled images of a source domain, unlabelled ones of a shifted target, and
# validation on the target. Half of each batch is labelled. imbdense benchmark adaptation makes the data.
data_root = 'data/domain_shapes'
metainfo = dict(classes=('disc', 'ring', 'cross'))
batch_size = 8
branches = ['sup', 'unsup_teacher', 'unsup_student']
view_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'homography_matrix')
pack = dict(type='PackDetInputs', meta_keys=view_keys)
labeled_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='MultiBranch', branch_field=branches, sup=[pack]),
]
unlabeled_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadEmptyAnnotations'),
    dict(
        type='MultiBranch',
        branch_field=branches,
        unsup_teacher=[dict(type='RandomFlip', prob=0.5), pack],
        unsup_student=[dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'), pack]),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(128, 128), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
training_images = dict(
    type='imbdense.AnyCocoDataset', ann_file='annotations/train.json', data_prefix=dict(img='images/train'),
    metainfo=metainfo)
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='imbdense.TwoStreamSampler', batch_size=batch_size, ratio=(1, 1)),
    dataset=dict(
        type='imbdense.SemiDataset',
        labeled=dict(training_images, data_root=f'{data_root}/source', pipeline=labeled_pipeline),
        unlabeled=dict(training_images, data_root=f'{data_root}/target', pipeline=unlabeled_pipeline)))
val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='imbdense.AnyCocoDataset', data_root=f'{data_root}/target', ann_file='annotations/val.json',
        data_prefix=dict(img='images/val'), metainfo=metainfo, test_mode=True, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='imbdense.FrequencyGroupedCocoMetric', ann_file=f'{data_root}/target/annotations/val.json')
test_evaluator = val_evaluator
