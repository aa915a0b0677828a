# Shows the sober baseline of change detection: a plain U-Net of the host on the stacked bands of both dates.
_base_ = [
    '../_base_/models/unet_small.py',
    '../_base_/datasets/dubai_scd_semisynthetic.py', '../_base_/schedules/adamw_200.py',
    '../_base_/runtime/segmentation.py'
]
train_dataloader = dict(batch_size=2)
model = dict(
    data_preprocessor=dict(type='imbdense.DenseDataPreProcessor', dates=2, size=(192, 192)),
    backbone=dict(in_channels=6),
    decode_head=dict(num_classes=2))
