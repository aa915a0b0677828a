# Shows balanced softmax: the prior that crops and voxels leave is added to the logits while training.
_base_ = [
    '../_base_/models/sparse_unet.py', '../_base_/datasets/ign_lidar_hd.py', '../_base_/schedules/adamw_200.py',
    '../_base_/runtime/points.py'
]
model = dict(decode_head=dict(loss_decode=[dict(type='imbdense.BalancedSoftmaxLoss')]))
