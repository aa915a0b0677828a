# Shows FC-EF: early fusion, the bands of both dates go into one encoder.
_base_ = [
    '../_base_/models/fc_siam.py',
    '../_base_/datasets/dubai_scd_semisynthetic.py', '../_base_/schedules/adamw_200.py',
    '../_base_/runtime/segmentation.py'
]
train_dataloader = dict(batch_size=2)
model = dict(backbone=dict(in_channels=6), fusion='early')
