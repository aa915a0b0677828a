# Shows weights 1 / (share + 0.02), the usual remedy for point clouds (RandLA-Net), counted instead of typed in.
_base_ = [
    '../_base_/models/sparse_unet.py', '../_base_/datasets/ign_lidar_hd.py', '../_base_/schedules/adamw_200.py',
    '../_base_/runtime/points.py'
]
model = dict(decode_head=dict(loss_decode=dict(scheme='randla', gamma=1, loss_name='loss_ce_reweighted')))
