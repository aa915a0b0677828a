# Airborne laser scanning, 9 classes of things from ground to bridge decks; 4 + 2 tiles in the small sample.
# Layout: data/ign_lidar_hd/train/*.laz and val/*.laz.
data_root = 'data/ign_lidar_hd'
radius = 12.0
load = dict(
    type='imbdense.LoadPoints', attributes=('intensity', 'return_number', 'number_of_returns'), keep=6)
height = dict(type='imbdense.PointHeight', cell=2.0, window=40.0)
augment = [
    dict(type='imbdense.PointRotate'),
    dict(type='imbdense.PointFlip'),
    dict(type='imbdense.PointScale', scale=(0.9, 1.1), anisotropic=True),
    dict(type='imbdense.PointJitter', sigma=0.02),
]
pack = dict(
    type='imbdense.PackPointInputs', features=('height', 'intensity', 'return_number', 'number_of_returns'))
train_pipeline = [load, height, dict(type='imbdense.SphereCrop', radius=radius), *augment, pack]
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='imbdense.IGNLidarHDDataset', data_root=data_root, split='train', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='imbdense.IGNLidarHDDataset', data_root=data_root, split='val', test_mode=True,
        pipeline=[load, height, pack]))
test_dataloader = val_dataloader
val_evaluator = dict(type='imbdense.PointIoUMetric')
test_evaluator = val_evaluator
