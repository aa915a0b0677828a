# Shows how far plain cross-entropy gets on generated scenes of a given imbalance ratio; `imbdense benchmark proof` runs
# it beside rebalanced losses at ratios 10, 100 and 1000 (other data_root), so it uses the fast pretrained model.
_base_ = [
    '../_base_/models/mobilenetv2_fpn.py', '../_base_/datasets/scenes.py',
    '../_base_/schedules/adamw_400.py', '../_base_/runtime/segmentation.py'
]
model = dict(data_preprocessor=dict(size={{_base_.crop_size}}), decode_head=dict(num_classes=10))
