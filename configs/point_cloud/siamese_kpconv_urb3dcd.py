# Shows Siamese KPConv on Urb3DCD-V2 as in the paper (ISPRS J. 2023), on a GPU: 25 kernel points, cylinders of 50 m,
# centres and class weights by the square root. Change data_root to the one you have. The weights are of what the
# crops leave; the authors weight by the labels and so correct twice: add class_counts=<class_counts.json>, force=True.
# An epoch of theirs is 6000 cylinders, 600 iterations; they stop early, after 550 epochs at the latest (here 100).
_base_ = ['../_base_/runtime/points.py']
data_root = 'data/urb3dcd/1-Lidar05'
pack = dict(type='imbdense.PackPointPair', depth=4, neighbours=32)
train_dataloader = dict(
    batch_size=10, num_workers=8, persistent_workers=True, sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='imbdense.Urb3DCDDataset', data_root=data_root, split='Train',
        pipeline=[
            dict(type='imbdense.PairCylinderCrop', radius=50.0, center='rare', tau=0.5),
            dict(type='imbdense.PairJitterRotate'), pack]))
val_dataloader = dict(
    batch_size=1, num_workers=2, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='imbdense.Urb3DCDDataset', data_root=data_root, split='Val', test_mode=True,
        pipeline=[dict(type='imbdense.PairCylinderGrid', radius=50.0), pack]))
test_dataloader = dict(
    batch_size=1, num_workers=2, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='imbdense.Urb3DCDDataset', data_root=data_root, split='Test', test_mode=True,
        pipeline=[dict(type='imbdense.PairCylinderGrid', radius=50.0), pack]))
val_evaluator = dict(type='imbdense.ChangeMIoU', absent='zero')
test_evaluator = val_evaluator
model = dict(
    type='imbdense.SiamesePointChange', fusion='diff',
    backbone=dict(
        type='imbdense.KPConvLite', in_channels=1, base_channels=128, depth=4, kernel_points=25, normalize=False),
    decode_head=dict(
        type='imbdense.PointSegHead', num_classes=7, dropout_ratio=0.5,
        loss_decode=dict(type='imbdense.ReweightedCELoss', scheme='sqrt', loss_name='loss_ce')))
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.98, weight_decay=1e-3),
    clip_grad=dict(max_norm=100.0))
param_scheduler = [dict(type='ExponentialLR', gamma=0.9885 ** (1 / 600), by_epoch=False, begin=0, end=330000)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=60000, val_interval=3000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(checkpoint=dict(interval=3000, save_best='mIoU_change'))
