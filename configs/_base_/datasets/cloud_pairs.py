# Generated pairs of airborne surveys, 7 classes of change; 6 + 2 pairs of 100 m with the defaults of
# `imbdense generate cloud-pairs --out data/cloud_pairs`. Layout: data/cloud_pairs/train/<pair>/epoch1.npz, epoch2.npz.
data_root = 'data/cloud_pairs'
voxel = 1.0
radius = 25.0
depth = 3
crop = dict(type='imbdense.PairCylinderCrop', radius=radius, center='rare', tau=0.5)
augment = dict(type='imbdense.PairJitterRotate')
pack = dict(type='imbdense.PackPointPair', depth=depth)
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='imbdense.PointPairDataset', data_root=data_root, split='train', voxel=voxel,
        pipeline=[crop, augment, pack]))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='imbdense.PointPairDataset', data_root=data_root, split='val', voxel=voxel, test_mode=True,
        pipeline=[dict(type='imbdense.PairCylinderGrid', radius=radius, step=radius), pack]))
test_dataloader = val_dataloader
val_evaluator = dict(type='imbdense.ChangeMIoU')
test_evaluator = val_evaluator
