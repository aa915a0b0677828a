# Shows change between two point clouds: Encoder-Fusion, crops centred on rare changes, balanced softmax.
_base_ = [
    '../_base_/models/siamese_points.py', '../_base_/datasets/cloud_pairs.py', '../_base_/schedules/adamw_400.py',
    '../_base_/runtime/points.py'
]
default_hooks = dict(checkpoint=dict(save_best='mIoU_change'))
