# Shows Mamba-FCS (VMamba-T) on SECOND as we would train it: SoftSeK, cosine decay, a val split for the choice of the
# checkpoint, no weight decay on the scan. Set weights to VMamba's ImageNet checkpoint (vssm_tiny_0230): its third stage
# has a fifth block, which the log lists as unexpected. ChangeMamba drops it as well; depths=(2, 2, 5, 2) keeps it.
_base_ = [
    '../_base_/models/mamba_fcs.py', '../_base_/datasets/second.py', '../_base_/schedules/adamw_40k.py',
    '../_base_/runtime/segmentation.py'
]
weights = None
model = dict(backbone=dict(init_cfg=weights and dict(type='Pretrained', checkpoint=weights, key_map='vmamba0229')))
optim_wrapper = dict(
    constructor='imbdense.MarkedOptimWrapperConstructor', optimizer=dict(lr=1e-4),
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=1.0))))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=1500),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=1500, end=40000, eta_min=1e-6),
]
default_hooks = dict(checkpoint=dict(interval=4000, save_best='scd/sem/SeK', rule='greater'))
