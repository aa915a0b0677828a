# Shows Muon for the hidden convolutions and AdamW for the rest, with the data, loss, learning rate and schedule of
# unet_scenes_ce.py: what the optimizer alone does for the rare objects. The two hooks write how flat the updates are
# and when each class is learned (work_dir/imbdense/spectrum.csv and progress.json). CPU minutes.
_base_ = [
    '../_base_/models/unet_small.py', '../_base_/datasets/scenes.py',
    '../_base_/schedules/adamw_600.py', '../_base_/runtime/segmentation.py'
]
optim_wrapper = dict(
    constructor='imbdense.MuonOptimWrapperConstructor',
    optimizer=dict(type='imbdense.MuonAdamW'),  # lr and weight decay stay: the updates have the size of AdamW's
    paramwise_cfg=dict(norm_decay_mult=0.0))
custom_hooks = [
    dict(type='imbdense.SpectrumHook', interval=100),
    dict(type='imbdense.ProgressHook', interval=50),
]
