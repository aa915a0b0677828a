# Shows Mamba-FCS with 16 to 128 channels: semantic change on a CPU in about two minutes, SoftSeK beside cross-entropy.
_base_ = [
    '../_base_/models/mamba_fcs.py', '../_base_/datasets/dubai_scd_semisynthetic.py',
    '../_base_/schedules/adamw_200.py', '../_base_/runtime/segmentation.py'
]
crop_size = (128, 128)
model = dict(
    backbone=dict(dims=(16, 32, 64, 128), depths=(1, 1, 1, 1), drop_path_rate=0.1),
    semantic_head=dict(num_classes=5),
    test_cfg=dict(mode='slide', crop_size=crop_size, stride=(96, 96)))
train_pipeline = [
    dict(type='imbdense.LoadChangePair'),
    dict(type='imbdense.ChangeAwareCrop', crop_size=crop_size, rate=0.75),
    dict(type='imbdense.SwapDates'),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
    dict(type='imbdense.PerDate', transforms=[dict(type='PhotoMetricDistortion')]),
    dict(type='imbdense.PackChangeInputs'),
]
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(constructor='imbdense.MarkedOptimWrapperConstructor', optimizer=dict(lr=1e-3))
val_evaluator = [dict(type='imbdense.ConfusionMetric'), dict(type='imbdense.SCDMetric')]
test_evaluator = val_evaluator
