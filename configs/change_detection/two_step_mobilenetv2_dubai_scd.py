# Shows direct multi-class change detection in two steps: changed or not, and where changed, into which land cover.
# One softmax over all kinds instead: decode_head=dict(num_classes=6) in siamese_mobilenetv2_dubai_scd.py, same pipeline.
_base_ = [
    '../_base_/models/two_step_mobilenetv2_fpn.py',
    '../_base_/datasets/dubai_scd_semisynthetic.py', '../_base_/schedules/adamw_200.py',
    '../_base_/runtime/segmentation.py'
]
kinds = ('unchanged', 'to building', 'to land', 'to road', 'to vegetation', 'to water')
test_pipeline = [
    dict(type='imbdense.LoadChangePair'),
    dict(type='imbdense.ChangeKinds', by='to'),
    dict(type='imbdense.PackChangeInputs'),
]
train_pipeline = [
    *test_pipeline[:2],
    dict(type='RandomCrop', crop_size=(192, 192)),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
    dict(type='imbdense.PackChangeInputs'),
]
train_dataloader = dict(dataset=dict(metainfo=dict(classes=kinds), pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(metainfo=dict(classes=kinds), pipeline=test_pipeline))
test_dataloader = val_dataloader
default_hooks = dict(class_counts=None)  # the files hold the change map alone; the losses count what they see
