# Shows the first of two stages for a detector: train on autolabels of all scene images, with the usual schedule. CPU
# minutes.
# Both: imbdense select stages selection/stage1_autolabel_boxes selection/stage2_finetune_boxes --work-dir DIR
_base_ = [
    '../_base_/models/atss_mobilenetv2.py', '../_base_/datasets/scenes_boxes_autolabel.py',
    '../_base_/schedules/adamw_400.py', '../_base_/runtime/detection.py'
]
model = dict(bbox_head=dict(num_classes=7))
