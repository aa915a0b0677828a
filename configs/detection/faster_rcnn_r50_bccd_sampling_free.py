# Shows a two-stage detector for a GPU on all anchors (3 in 1000 are foreground) and all proposals: no sampling, the
# box loss guides cross-entropy in both stages. Twice the proposals of sampling: twice the work of the second stage.
_base_ = [
    '../_base_/models/faster_rcnn_r50.py', '../_base_/datasets/bccd.py',
    '../_base_/schedules/sgd_6k.py', '../_base_/runtime/detection.py'
]
keep_all = dict(type='PseudoSampler')
model = dict(
    rpn_head=dict(
        type='imbdense.SamplingFreeRPNHead',
        balancer=dict(type='imbdense.GuidedLossBalancer')),
    roi_head=dict(
        bbox_head=dict(
            type='imbdense.SamplingFreeBBoxHead',
            num_classes=3,
            balancer=dict(type='imbdense.GuidedLossBalancer', cls_weight=2.0))),
    train_cfg=dict(
        rpn=dict(sampler=keep_all),
        rcnn=dict(sampler=keep_all)),
    test_cfg=dict(rcnn=dict(score_thr=1e-3)))
custom_hooks = [dict(type='imbdense.PriorBiasInitHook')]
default_hooks = dict(checkpoint=dict(interval=500))
