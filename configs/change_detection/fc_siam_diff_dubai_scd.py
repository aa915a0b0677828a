# Shows FC-Siam-diff on pairs of aerial images with inserted changes (3.8 % of the pixels): plain cross-entropy.
_base_ = [
    '../_base_/models/fc_siam.py',
    '../_base_/datasets/dubai_scd_semisynthetic.py', '../_base_/schedules/adamw_200.py',
    '../_base_/runtime/segmentation.py'
]
train_dataloader = dict(batch_size=2)
