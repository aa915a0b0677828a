# Shows what can be guessed from the second epoch alone: the same network without the first.
_base_ = [
    '../_base_/models/siamese_points.py', '../_base_/datasets/cloud_pairs.py', '../_base_/schedules/adamw_400.py',
    '../_base_/runtime/points.py'
]
default_hooks = dict(checkpoint=dict(save_best='mIoU_change'))
model = dict(fusion='none')
