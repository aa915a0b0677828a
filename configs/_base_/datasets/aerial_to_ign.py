# Transfer from generated laser clouds to airborne laser scanning: six classes that both have, features that mean the
# same in both (intensities do not: the generator has albedo of visible light, IGN raw counts that differ by tile).
# Scored on the real validation tiles; groups by the real training set. Configs choose the data sets to learn from.
# imbdense prepare ign_lidar_hd --out data/ign_lidar_hd
# imbdense generate clouds --preset ign-lidar --out data/ign_like
radius = 12.0
load = [
    dict(type='imbdense.LoadPoints', attributes=('return_number', 'number_of_returns'), keep=12),
    dict(type='imbdense.PointHeight', cell=2.0, window=40.0),
]
pack = dict(type='imbdense.PackPointInputs', features=('height', 'return_number', 'number_of_returns'))
train_pipeline = [
    *load,
    dict(type='imbdense.SphereCrop', radius=radius),
    dict(type='imbdense.PointRotate'),
    dict(type='imbdense.PointFlip'),
    dict(type='imbdense.PointScale', scale=(0.9, 1.1), anisotropic=True),
    dict(type='imbdense.PointJitter', sigma=0.02),
    pack,
]
real = dict(
    type='imbdense.IGNLidarHDDataset', data_root='data/ign_lidar_hd', split='train', mapping='airborne',
    pipeline=train_pipeline)
synthetic = dict(
    type='imbdense.AerialSceneDataset', data_root='data/ign_like', split='train', mapping='airborne',
    pipeline=train_pipeline)
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='ConcatDataset', datasets=[real]))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='imbdense.IGNLidarHDDataset', data_root='data/ign_lidar_hd', split='val', mapping='airborne',
        test_mode=True, pipeline=[*load, pack]))
test_dataloader = val_dataloader
val_evaluator = dict(type='imbdense.PointIoUMetric', groups=dict(
    head=['ground', 'high vegetation'], medium=['building', 'other'], tail=['medium vegetation', 'low vegetation']))
test_evaluator = val_evaluator
