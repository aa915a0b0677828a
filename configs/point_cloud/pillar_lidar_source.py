# Shows a pillar detector that trains on a CPU in a minute, on generated scenes of the source domain, with random
# object scaling; it is tested on the target domain. Rare classes are pasted from a bank of ground truth, made with
#   imbdense generate bank configs/point_cloud/pillar_lidar_source.py --out data/lidar/source_bank --min-area 5
_base_ = [
    '../_base_/models/pillar_small.py', '../_base_/datasets/lidar_scenes.py', '../_base_/runtime/detection.py'
]
source_bank = 'data/lidar/source_bank'
model = {{_base_.detector}}
train_pipeline = [
    dict(type='imbdense.LoadKittiPoints'),
    dict(type='imbdense.LoadBoxes3d'),
    dict(
        type='imbdense.BankPaste3d', bank=source_bank, quota=1,
        scale=[(0.75, 1.0), (0.95, 1.05), (0.95, 1.05)]),  # car, pedestrian, cyclist
    dict(type='imbdense.BevAugment', angle=0.4),
    dict(type='imbdense.PackPointDetInputs'),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        type='imbdense.KittiBoxDataset', data_root={{_base_.source_root}}, lift={{_base_.source_lift}},
        pipeline=train_pipeline))
max_epochs = 14
max_steps = 14 * 25  # 100 scenes, 4 in a batch
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=4e-3, weight_decay=1e-2), clip_grad=dict(max_norm=10.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=0.4 * max_steps, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0.4 * max_steps, T_max=0.6 * max_steps, eta_min=1e-6, by_epoch=False),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=max_epochs)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    checkpoint=dict(by_epoch=True, interval=max_epochs, save_best='boxes_3d/bev_ap50', rule='greater'))
log_processor = dict(by_epoch=True)
