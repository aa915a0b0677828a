# Shows UniMatch: two strong views with CutMix and a branch with dropped features, labels from the student itself, with
# a threshold that adapts to each class. About a minute and a half on a CPU.
_base_ = [
    '../_base_/models/unet_small_semi.py', '../_base_/datasets/scenes_semi.py',
    '../_base_/schedules/adamw_200.py', '../_base_/runtime/segmentation.py'
]
model = dict(
    consistency=dict(type='imbdense.UniMatchConsistency', feature_drop=0.5),
    teacher='self',
    pseudo=dict(type='imbdense.FreeThreshold'),
    ramp=100)
