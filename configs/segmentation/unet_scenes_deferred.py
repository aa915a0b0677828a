# Shows deferred re-weighting on the embedded aerial scenes: plain cross-entropy for four fifths of the training, then
# the same loss with class weights. The features are learned on the data as they are, and only the end is spent on the
# balance. Phases can also change the sampler, freeze parts or lower the learning rate.
_base_ = [
    '../_base_/models/unet_small.py', '../_base_/datasets/scenes.py',
    '../_base_/schedules/adamw_600.py', '../_base_/runtime/segmentation.py'
]
model = dict(decode_head=dict(loss_decode=dict(type='imbdense.ReweightedCELoss', scheme='inverse', gamma=0.5)))
custom_hooks = [
    dict(
        type='imbdense.DeferredRebalanceHook',
        phases=dict(plain=dict(until=0.8), rebalanced=dict(loss=True))),
]
# The cosine of the base schedule would be near zero when the losses begin to rebalance; it ends higher here.
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=50, end=600, T_max=550, eta_min=1e-3),
]
