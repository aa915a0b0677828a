# Generated photogrammetric clouds of aerial scenes, six classes of STPLS3D (bikes and clutter ignored). Make them with:
# imbdense generate clouds --preset small --num 6 --val 2 --out data/clouds
data_root = 'data/clouds'
load = [
    dict(type='imbdense.LoadPoints', attributes=('rgb',), keep=8),
    dict(type='imbdense.PointHeight', cell=2.0, window=30.0),
]
pack = dict(type='imbdense.PackPointInputs', features=('rgb', 'height'))
train_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='imbdense.AerialSceneDataset', data_root=data_root, split='train', mapping='clean6',
        pipeline=[*load, dict(type='imbdense.PointRotate'), dict(type='imbdense.PointFlip'), pack]))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='imbdense.AerialSceneDataset', data_root=data_root, split='val', mapping='clean6', test_mode=True,
        pipeline=[*load, pack]))
test_dataloader = val_dataloader
val_evaluator = dict(type='imbdense.PointIoUMetric')
test_evaluator = val_evaluator
