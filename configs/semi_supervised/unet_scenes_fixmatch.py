# Shows FixMatch with a mean teacher on ten labelled and 190 unlabelled scene images: thresholds per class that grow with
# the confidence (a fixed .95 rejects nearly everything in so short a run), and the alarm that watches the rare classes
# among the pseudo-labels. About a minute on a CPU.
_base_ = [
    '../_base_/models/unet_small_semi.py', '../_base_/datasets/scenes_semi.py',
    '../_base_/schedules/adamw_200.py', '../_base_/runtime/segmentation.py'
]
model = dict(
    consistency='fixmatch',
    teacher='ema',
    pseudo=dict(type='imbdense.FreeThreshold'),
    ramp=100)
custom_hooks = [
    dict(type='imbdense.EMATeacherHook', momentum=0.98),
    dict(type='imbdense.RareCollapseHook', interval=20),
]
