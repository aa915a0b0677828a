# Shows the plain baseline on nuclei: with cross-entropy the touching border (0.6 % of the pixels) stays near IoU 0.
# The sibling fpn_mobilenetv2_nuclei_rare.py changes the loss only.
_base_ = [
    '../_base_/models/mobilenetv2_fpn.py', '../_base_/datasets/dsb2018_nuclei.py',
    '../_base_/schedules/adamw_400.py', '../_base_/runtime/segmentation.py'
]
model = dict(decode_head=dict(num_classes=3))
