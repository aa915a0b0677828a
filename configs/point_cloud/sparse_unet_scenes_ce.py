# Shows on generated clouds that plain cross-entropy finds no lights, signs and fences: whole scenes, 80 steps.
_base_ = [
    '../_base_/models/sparse_unet.py', '../_base_/datasets/clouds.py', '../_base_/schedules/one_cycle_80.py',
    '../_base_/runtime/points.py'
]
model = dict(
    data_preprocessor=dict(voxel_size=0.8, mean=(0.4, 0.4, 0.4, 4.0), std=(0.2, 0.2, 0.2, 5.0)),
    backbone=dict(depth=2, blocks=(1, 1)),
    decode_head=dict(num_classes=6, loss_decode=dict(type='imbdense.ReweightedCELoss', gamma=0, loss_name='loss_ce')))
