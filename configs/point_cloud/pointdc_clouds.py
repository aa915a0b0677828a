# Shows PointDC on generated clouds, without a label: what images see of the points is distilled into a 3-D network, and
# clusters of super-voxels tell more classes than clusters of points. `imbdense generate clouds --preset small --images
# --out data/clouds`, then `imbdense pointdc configs/point_cloud/pointdc_clouds.py`.
# ImageNet weights: the folder IMBDENSE_WEIGHTS (default data/weights); nothing is learned from features at random.
import os

_base_ = ['../_base_/runtime/points_by_epoch.py']
weights = os.path.join(os.environ.get('IMBDENSE_WEIGHTS', 'data/weights'), 'mobilenetv2_1.0_in1k_mmseg.pth')
data_root = 'data/clouds'
work = 'work_dirs/pointdc_clouds'
feature_volume = dict(extractor=dict(
    backbone=dict(
        type='mmseg.MobileNetV2', out_indices=(1, 2, 4), norm_cfg=dict(type='BN'),
        init_cfg=dict(type='Pretrained', checkpoint=weights)),
    mean=[127.5] * 3, std=[127.5] * 3))
whole = [
    dict(type='imbdense.LoadPoints', attributes=('rgb',), keep=4),
    dict(type='imbdense.LoadFeatureVolume', folder=f'{work}/feature_volumes'),
    dict(type='imbdense.SuperVoxel', voxel_size=0.5, seed_size=2.5, folder=f'{work}/supervoxels')]
turn = [
    dict(type='imbdense.BlockCrop', size=40.0),
    dict(type='imbdense.PointRotate'),
    dict(type='imbdense.PointShift', shift=(1.0, 1.0, 1.0)),
    dict(type='imbdense.PointScale', scale=(0.9, 1.1))]
pack = dict(type='imbdense.PackPointInputs', features=('rgb', 'xyz'), info=('supervoxel', 'view_features'))
loader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False))
train_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='imbdense.AerialSceneDataset', data_root=data_root, split='train', need_labels=False,
        pipeline=[*whole, *turn, pack]))
val_dataloader = dict(
    **loader, dataset=dict(type='imbdense.AerialSceneDataset', data_root=data_root, split='val',
                           pipeline=[*whole, pack]))
val_evaluator = dict(type='imbdense.HungarianIoU')
val_cfg = dict()
model = dict(
    type='imbdense.PointDCSegmentor', stage='distill',
    data_preprocessor=dict(
        type='imbdense.PointDataPreProcessor', voxel_size=0.5,
        mean=(0.5, 0.5, 0.5, 0.0, 0.0, 5.0), std=(0.25, 0.25, 0.25, 20.0, 20.0, 5.0)),
    backbone=dict(type='imbdense.SparseUNet', in_channels=6, base_channels=32, depth=3, blocks=(1, 1, 1)),
    distill=dict(type='imbdense.DistillCosineLoss', dims=152),
    head=dict(type='imbdense.CosineClusterHead', num_clusters=6, cos_scale=15.0))
custom_hooks = [dict(type='imbdense.SuperVoxelClusterHook', num_clusters=6, interval=5)]
train_cfg = dict(by_epoch=True, max_epochs=40, val_interval=1000)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
_svc = dict(type='SGD', lr=0.03, momentum=0.9, dampening=0.1, weight_decay=1e-4)
stages = dict(
    distill=dict(),
    warmup={'train_cfg.max_epochs': 5, 'train_cfg.val_interval': 5, 'optim_wrapper.optimizer': _svc},
    iterate={
        'train_cfg.max_epochs': 15, 'train_cfg.val_interval': 5, 'optim_wrapper.optimizer': _svc,
        'param_scheduler': [dict(type='StepLR', step_size=5, gamma=0.8)]})
