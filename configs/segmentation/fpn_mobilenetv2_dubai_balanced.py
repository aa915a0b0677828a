# Shows balanced softmax on aerial images whose val split has another class mix than train: one line changes.
# It evens out what the model believes about class frequencies, which is what the shift between the splits punishes.
_base_ = [
    '../_base_/models/mobilenetv2_fpn.py', '../_base_/datasets/dubai_aerial.py',
    '../_base_/schedules/adamw_400.py', '../_base_/runtime/segmentation.py'
]
model = dict(decode_head=dict(num_classes=5, loss_decode=dict(type='imbdense.BalancedSoftmaxLoss')))
