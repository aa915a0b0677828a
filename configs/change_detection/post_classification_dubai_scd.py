# Shows change from a segmentor of land cover at each date, and how likely a transition is at all (counted in the
# training pairs; no network sees a label of change).
#   imbdense train segmentation/fpn_mobilenetv2_dubai_ce.py
#   imbdense test change_detection/post_classification_dubai_scd.py work_dirs/fpn_mobilenetv2_dubai_ce/iter_400.pth
# Compare with --cfg-options model.mode=argmax. Here date 2 is date 1 with objects pasted in: errors repeat at both, so
# transitions estimated without labels (labels=None) find next to no change, and the hook says so.
_base_ = [
    '../_base_/models/post_classification_mobilenetv2_fpn.py', '../_base_/datasets/dubai_scd_semisynthetic.py',
    '../_base_/schedules/adamw_200.py', '../_base_/runtime/segmentation.py'
]
model = dict(threshold=0.1)
custom_hooks = [
    dict(
        type='imbdense.PostClassificationHook',
        labels=dict(
            type='imbdense.ChangePairDataset',
            data_root='data/dubai_scd_semisynthetic',
            ann_file='splits/train.txt',
            pipeline=[dict(type='imbdense.LoadChangePair'), dict(type='imbdense.PackChangeInputs')]))
]
test_evaluator = dict(type='imbdense.SCDMetric')  # change, and land cover inside it
