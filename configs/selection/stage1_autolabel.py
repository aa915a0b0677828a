# Shows the first of two stages: train on autolabels of all scene images, with the usual schedule. CPU minutes.
# Both: imbdense select stages configs/selection/stage1_autolabel.py configs/selection/stage2_finetune.py --work-dir DIR
_base_ = [
    '../_base_/models/unet_small.py', '../_base_/datasets/scenes_autolabel.py',
    '../_base_/schedules/adamw_600.py', '../_base_/runtime/segmentation.py'
]
