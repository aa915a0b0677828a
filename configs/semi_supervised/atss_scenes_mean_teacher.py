# Shows a mean teacher for ATSS on 16 labelled and the other, unlabelled scene images: a threshold per class that labels
# the same share of the boxes of every class, and boxes in doubt that are neither object nor background. About a
# minute on a CPU.
_base_ = [
    '../_base_/models/atss_mobilenetv2_semi.py', '../_base_/datasets/scenes_boxes_semi.py',
    '../_base_/schedules/adamw_200.py', '../_base_/runtime/detection.py'
]
model = dict(
    pseudo_labeler=dict(
        type='imbdense.ClassBalancedThreshold', start=0.2, end=0.4, round_steps=25, initial=0.5, negative='half'),
    min_score=0.03,  # 200 iterations from scratch do not make a detector that is sure of itself
    burn_in=50,
    ramp_up=50)
custom_hooks = [dict(type='imbdense.EMATeacherHook', momentum=0.98)]
