# AdamW for 12 000 iterations with one step down: detectors of the DETR family on a GPU.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=0.1, norm_type=2),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))))
param_scheduler = [dict(type='MultiStepLR', by_epoch=False, begin=0, end=12000, milestones=[10000], gamma=0.1)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=12000, val_interval=1000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(base_batch_size=16)
