# Shows ReDB in space: the detector of pillar_lidar_source.py adapts to the target domain, of which it sees no label.
# Three rounds of pseudo-boxes, found again in a source scene (round 0), ordinary cars thinned, equally many objects of
# every class pasted: source objects fewer, target objects more from round to round. A minute on a CPU.
_base_ = [
    '../_base_/models/pillar_small.py', '../_base_/datasets/lidar_scenes.py', '../_base_/runtime/detection.py'
]
load_from = 'work_dirs/pillar_lidar_source/epoch_14.pth'
source_bank, pseudo_bank = 'data/lidar/source_bank', 'work_dirs/redb3d_lidar_target/pseudo_bank'
model = dict(type='imbdense.ReDB3D', detector={{_base_.detector}})
labeled_pipeline = [
    dict(type='imbdense.LoadKittiPoints'),
    dict(type='imbdense.LoadBoxes3d'),
    dict(type='imbdense.PackPointDetInputs'),
]
unlabeled_pipeline = [
    dict(type='imbdense.LoadKittiPoints'),
    dict(type='imbdense.PseudoBoxes3d'),
    dict(type='imbdense.BankPaste3d', bank=pseudo_bank),
    dict(type='imbdense.BankPaste3d', bank=source_bank, scale=[(0.75, 1.0), (0.95, 1.05), (0.95, 1.05)]),
    dict(type='imbdense.BevAugment', angle=0.4),
    dict(type='imbdense.PackPointDetInputs'),
]
train_dataloader = dict(
    batch_size=5,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='imbdense.TwoStreamSampler', batch_size=5, ratio=(1, 4)),  # the labelled scene is for the counts
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        type='imbdense.SemiDataset',
        labeled=dict(
            type='imbdense.KittiBoxDataset', data_root={{_base_.source_root}}, lift={{_base_.source_lift}},
            indices=60, pipeline=labeled_pipeline),
        unlabeled=dict(
            type='imbdense.KittiBoxDataset', data_root={{_base_.target_root}}, lift={{_base_.target_lift}},
            pipeline=unlabeled_pipeline)))
steps = 60  # of a round, one epoch: one of 60 labelled scenes a batch, four of the target
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=1.5e-3, weight_decay=1e-2), clip_grad=dict(max_norm=10.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=0.4 * steps, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0.4 * steps, T_max=0.6 * steps, eta_min=1e-6, by_epoch=False),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3, val_interval=3)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
custom_hooks = [
    dict(
        type='imbdense.PseudoLabelRoundHook',
        rounds=[0, 1, 2],
        rule=dict(type='imbdense.FixedThreshold', threshold=[0.6, 0.5, 0.5], negative=0.2),
        bank=pseudo_bank,
        source_bank=source_bank,
        cde=dict(iou_thr=0.5, score_thr=0.1, rounds=[0]),
        obc=dict(rate=dict(Car=5)),
        quota=dict(k0_src=3, reduce=1, k0_tgt=1, grow=1),
        restart_schedule=True),
]
default_hooks = dict(checkpoint=dict(by_epoch=True, interval=1, save_best='boxes_3d/bev_ap50', rule='greater'))
log_processor = dict(by_epoch=True)
