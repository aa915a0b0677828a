# Shows FixMatch with a mean teacher on ten labelled and 190 unlabelled scene images, the alarm that watches the rare
# classes among the pseudo-labels, and a hook that compares both kinds of images once and warns if they differ. About a
# minute on a CPU; too short for the usual threshold of .95.
_base_ = [
    '../_base_/models/unet_small_semi.py', '../_base_/datasets/scenes_semi.py',
    '../_base_/schedules/adamw_200.py', '../_base_/runtime/segmentation.py'
]
model = dict(
    consistency='fixmatch',
    teacher='ema',
    pseudo=dict(type='imbdense.FixedThreshold', threshold=0.7),
    ramp=100)
custom_hooks = [
    dict(type='imbdense.EMATeacherHook', momentum=0.98),
    dict(type='imbdense.RareCollapseHook', interval=20),
    dict(type='imbdense.DatasetShiftHook', interval=150, max_vectors=2000, action='warn'),
]
