# Shows ReDB for ATSS on 16 labelled and the other, unlabelled scene images: two rounds of pseudo-labels, found again
# in a labelled image (round 0), thinned (vegetation), and pasted, equally many of every class. About two minutes on a
# CPU. The published form learns from the unlabelled images alone: sup_weight=0.
_base_ = [
    '../_base_/models/atss_mobilenetv2_semi.py', '../_base_/datasets/scenes_boxes_semi.py',
    '../_base_/runtime/detection.py'
]
pseudo_bank = 'work_dirs/atss_scenes_redb/pseudo_bank'  # the hook fills it, the transform pastes from it
branches = ['sup', 'unsup_student']
labeled_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomCrop', crop_size={{_base_.crop_size}}, allow_negative_crop=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='MultiBranch', branch_field=branches, sup=dict(type='PackDetInputs', meta_keys={{_base_.view_keys}})),
]
unlabeled_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadEmptyAnnotations'),
    dict(type='imbdense.BankPaste', bank=pseudo_bank),
    dict(type='RandomCrop', crop_size={{_base_.crop_size}}, allow_negative_crop=True),
    dict(
        type='MultiBranch',
        branch_field=branches,
        unsup_student=[
            dict(type='RandomFlip', prob=0.5),
            dict(type='PhotoMetricDistortion'),
            dict(type='PackDetInputs', meta_keys={{_base_.view_keys}}),
        ]),
]
train_dataloader = dict(
    sampler=dict(infinite=False),
    dataset=dict(labeled=dict(pipeline=labeled_pipeline), unlabeled=dict(pipeline=unlabeled_pipeline)))
model = dict(type='imbdense.ReDBDetector', predict_on='teacher', weigh_by_score=True, ramp_up=20)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=3e-3, weight_decay=1e-2), clip_grad=dict(max_norm=10.0))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=4, eta_min=1e-5)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=4, val_interval=4)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
custom_hooks = [
    dict(type='imbdense.EMATeacherHook', momentum=0.98),
    dict(
        type='imbdense.PseudoLabelRoundHook',
        rounds=[2, 3],  # the first two epochs learn the labels alone
        rule=dict(
            type='imbdense.ClassBalancedThreshold', start=0.1, round_steps=None, negative='half'),
        bank=pseudo_bank,
        cde=dict(iou_thr=0.5, rounds=[0]),
        obc=dict(rate=dict(vegetation=5)),
        quota=dict(k0_src=0, reduce=0, k0_tgt=1, grow=1),
        memory=dict(),  # an object that one round misses stays for one more
        min_score=0.03),
]
