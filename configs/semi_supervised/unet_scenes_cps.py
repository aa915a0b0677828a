# Shows cross pseudo supervision: two networks that begin differently label the images for each other.
_base_ = [
    '../_base_/models/unet_small_semi.py', '../_base_/datasets/scenes_semi.py',
    '../_base_/schedules/adamw_200.py', '../_base_/runtime/segmentation.py'
]
model = dict(consistency='cps', ramp=100)
