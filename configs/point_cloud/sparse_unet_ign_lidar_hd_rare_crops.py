# Shows crops centred on rare classes: the class of the centre is drawn by n ** -0.5, scenes class by class. Plain
# cross-entropy; the ledger printed at the start tells what the crops leave of the imbalance.
_base_ = [
    '../_base_/models/sparse_unet.py', '../_base_/datasets/ign_lidar_hd.py', '../_base_/schedules/adamw_200.py',
    '../_base_/runtime/points.py'
]
train_pipeline = [
    {{_base_.load}},
    {{_base_.height}},
    dict(type='imbdense.SphereCrop', radius={{_base_.radius}}, center='rare', tau=0.5),
    dict(type='imbdense.PointRotate'),
    dict(type='imbdense.PointFlip'),
    dict(type='imbdense.PointScale', scale=(0.9, 1.1), anisotropic=True),
    dict(type='imbdense.PointJitter', sigma=0.02),
    {{_base_.pack}},
]
train_dataloader = dict(
    sampler=dict(type='imbdense.BalancedClassSampler', infinite=True, shuffle=True),
    dataset=dict(pipeline=train_pipeline))
