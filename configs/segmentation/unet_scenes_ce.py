# Shows the plain baseline on the embedded aerial scenes: cross-entropy leaves the rare objects near IoU 0.
# `make train` runs it next to unet_scenes_balanced.py; CPU minutes.
_base_ = [
    '../_base_/models/unet_small.py', '../_base_/datasets/scenes.py',
    '../_base_/schedules/adamw_600.py', '../_base_/runtime/segmentation.py'
]
