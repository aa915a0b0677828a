# Shows what the real training tiles teach about airborne laser scanning: what generated clouds are compared to.
_base_ = [
    '../_base_/models/sparse_unet.py', '../_base_/datasets/aerial_to_ign.py', '../_base_/schedules/adamw_200.py',
    '../_base_/runtime/points.py'
]
model = dict(
    data_preprocessor=dict(mean=(4.0, 1.3, 1.6), std=(5.0, 0.7, 1.0)),
    backbone=dict(in_channels=3),
    decode_head=dict(num_classes=6))
