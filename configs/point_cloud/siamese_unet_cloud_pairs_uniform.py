# Shows what rare centres are worth: siamese_unet_cloud_pairs_ef with crops drawn evenly over the ground.
_base_ = [
    '../_base_/models/siamese_points.py', '../_base_/datasets/cloud_pairs.py', '../_base_/schedules/adamw_400.py',
    '../_base_/runtime/points.py'
]
default_hooks = dict(checkpoint=dict(save_best='mIoU_change'))
crop = dict(type='imbdense.PairCylinderCrop', radius={{_base_.radius}}, center='uniform')
train_dataloader = dict(dataset=dict(pipeline=[crop, {{_base_.augment}}, {{_base_.pack}}]))
