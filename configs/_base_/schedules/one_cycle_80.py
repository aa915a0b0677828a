# AdamW with one cycle up to 1e-2 and down again in 80 iterations: half a minute on a CPU for a small sparse network.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-2, weight_decay=1e-2),
    clip_grad=dict(max_norm=10.0))
param_scheduler = dict(type='OneCycleLR', eta_max=1e-2, total_steps=80, by_epoch=False)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=80, val_interval=80)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
