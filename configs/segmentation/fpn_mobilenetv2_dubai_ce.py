# Shows the plain baseline on aerial images with a label shift between train and val: cross-entropy, CPU minutes.
# Siblings change the loss or the sampler only; a method can also be chosen on the command line, for example
#   --cfg-options model.decode_head.loss_decode.type=imbdense.LogitAdjustLoss train_cfg.max_iters=300
_base_ = [
    '../_base_/models/mobilenetv2_fpn.py', '../_base_/datasets/dubai_aerial.py',
    '../_base_/schedules/adamw_400.py', '../_base_/runtime/segmentation.py'
]
model = dict(decode_head=dict(num_classes=5))
