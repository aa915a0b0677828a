# Shows direct multi-class change detection with one softmax over "unchanged" and the kinds of change, and a loss that
# makes up for their shares.
_base_ = [
    '../_base_/models/mobilenetv2_fpn.py', '../_base_/datasets/s2looking.py',
    '../_base_/schedules/adamw_40k.py', '../_base_/runtime/segmentation.py'
]
model = dict(
    type='imbdense.SiameseSegmentor',
    data_preprocessor=dict(type='imbdense.DenseDataPreProcessor', dates=2, size=(512, 512)),
    decode_head=dict(in_channels=[96] * 5, num_classes=3, loss_decode=dict(type='imbdense.BalancedSoftmaxLoss')),
    fusion='conc+diff')
