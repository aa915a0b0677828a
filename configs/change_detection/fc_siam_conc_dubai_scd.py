# Shows FC-Siam-conc: the features of both dates side by side at four scales.
_base_ = [
    '../_base_/models/fc_siam.py',
    '../_base_/datasets/dubai_scd_semisynthetic.py', '../_base_/schedules/adamw_200.py',
    '../_base_/runtime/segmentation.py'
]
train_dataloader = dict(batch_size=2)
model = dict(
    decode_head=dict(in_channels=(32, 64, 128, 256, 128)), fusion=['concat', 'concat', 'concat', 'concat', 'last'])
