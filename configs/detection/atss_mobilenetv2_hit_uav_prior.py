# Shows a detector that starts and ends at what it sees: anchors are counted before training, the class logits begin at
# the measured share of foreground, and the test threshold is that share too. Head and loss are those of
# atss_mobilenetv2_hit_uav_sampling_free.py.
_base_ = [
    '../_base_/models/atss_mobilenetv2.py', '../_base_/datasets/hit_uav.py',
    '../_base_/schedules/adamw_400.py', '../_base_/runtime/detection.py'
]
model = dict(
    bbox_head=dict(
        type='imbdense.SamplingFreeATSSHead',
        num_classes=4,
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
        balancer=dict(type='imbdense.GuidedLossBalancer')),
    test_cfg=dict(score_thr='adaptive'))
optim_wrapper = dict(optimizer=dict(lr=2e-3))
custom_hooks = [dict(type='imbdense.PriorBiasInitHook'), dict(type='imbdense.AdaptiveScoreThrHook')]
