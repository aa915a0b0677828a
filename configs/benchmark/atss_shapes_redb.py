# Shows ReDB on a domain shift with classes 100 : 10 : 1, in as many steps as the mean teacher of the config beside it:
# three rounds of examined and thinned pseudo-labels, equally many objects of every class pasted. About a minute of CPU
# time. The bank of labelled objects is made by imbdense generate bank, all of it by imbdense benchmark adaptation.
_base_ = [
    '../_base_/models/atss_mobilenetv2_semi.py', '../_base_/datasets/shapes_adaptation.py',
    '../_base_/runtime/detection.py'
]
epochs, steps = 4, 56
pseudo_bank, source_bank = 'work_dirs/atss_shapes_redb/pseudo_bank', 'data/domain_shapes/source_bank'
branches = ['sup', 'unsup_student']
labeled_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='MultiBranch', branch_field=branches, sup=[{{_base_.pack}}]),
]
unlabeled_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadEmptyAnnotations'),
    dict(type='imbdense.BankPaste', bank=pseudo_bank),
    dict(type='imbdense.BankPaste', bank=source_bank),
    dict(
        type='MultiBranch',
        branch_field=branches,
        unsup_student=[dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'), {{_base_.pack}}]),
]
train_dataloader = dict(
    dataset=dict(labeled=dict(pipeline=labeled_pipeline), unlabeled=dict(pipeline=unlabeled_pipeline)))
model = dict(
    type='imbdense.ReDBDetector', detector=dict(bbox_head=dict(num_classes=3)), predict_on='teacher', ramp_up=steps)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-2), clip_grad=dict(max_norm=10.0))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=False, T_max=epochs * steps, eta_min=1e-5)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=epochs)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
custom_hooks = [
    dict(type='imbdense.EMATeacherHook', momentum=0.98),
    dict(
        type='imbdense.PseudoLabelRoundHook',
        rounds=[0, 1, 2],
        rule=dict(type='imbdense.FixedThreshold', threshold=[0.5, 0.4, 0.3], negative='half'),
        bank=pseudo_bank,
        source_bank=source_bank,
        cde=dict(iou_thr=0.5, score_thr=0.1, rounds=[0]),
        obc=dict(rate=dict(disc=5)),
        quota=dict(k0_src=2, reduce=1, k0_tgt=1, grow=1)),
]
