# Shows a strong segmentor for GPUs with balanced softmax in both heads: barren and road are the rare classes of LoveDA.
_base_ = [
    '../_base_/models/upernet_swin_t.py', '../_base_/datasets/loveda.py',
    '../_base_/schedules/adamw_40k.py', '../_base_/runtime/segmentation.py'
]
model = dict(
    decode_head=dict(num_classes=7, loss_decode=dict(type='imbdense.BalancedSoftmaxLoss')),
    auxiliary_head=dict(num_classes=7, loss_decode=dict(type='imbdense.BalancedSoftmaxLoss')))
default_hooks = dict(checkpoint=dict(interval=4000))
