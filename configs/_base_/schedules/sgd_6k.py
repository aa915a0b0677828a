# SGD for 6000 iterations with warm-up and two steps down: R-CNN and RetinaNet with ResNet on a GPU.
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=1e-4),
    clip_grad=dict(max_norm=35.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=6000, milestones=[4000, 5500], gamma=0.1),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=6000, val_interval=500)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(base_batch_size=8)
