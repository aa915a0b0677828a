# Shows change without a label of change: a segmentor of land cover at each date, and how likely a transition is at all.
#   imbdense train configs/segmentation/fpn_mobilenetv2_dubai_ce.py
#   imbdense test configs/change_detection/post_classification_dubai_scd.py work_dirs/fpn_mobilenetv2_dubai_ce/iter_400.pth
# Compare with --cfg-options model.mode=argmax
_base_ = [
    '../_base_/models/post_classification_mobilenetv2_fpn.py',
    '../_base_/datasets/dubai_scd_semisynthetic.py', '../_base_/schedules/adamw_200.py',
    '../_base_/runtime/segmentation.py'
]
custom_hooks = [dict(type='imbdense.PostClassificationHook')]
