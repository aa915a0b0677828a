# Generated LiDAR scenes of a source domain (32 beams, large cars) and of a target domain (64 beams, smaller cars),
# which is evaluated. Heights of the sensors are added, so that both grounds lie at 0. Make the data with:
#   imbdense generate lidar --setup beams32 --out data/lidar/beams32
#   imbdense generate lidar --setup beams64 --out data/lidar/beams64 --seed 1
source_root, target_root = 'data/lidar/beams32', 'data/lidar/beams64'
source_lift, target_lift = 1.84, 1.73
test_pipeline = [
    dict(type='imbdense.LoadKittiPoints'),
    dict(type='imbdense.LoadBoxes3d'),
    dict(type='imbdense.PackPointDetInputs'),
]
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        type='imbdense.KittiBoxDataset', data_root=target_root, split='val', lift=target_lift, test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='imbdense.KittiAPMetric')
test_evaluator = val_evaluator
