# Shows direct multi-class change detection in two steps: changed (1.2 % of the pixels) or not; where changed, new or
# demolished. With one softmax over all kinds instead: siamese_mobilenetv2_s2looking.py.
_base_ = [
    '../_base_/models/two_step_mobilenetv2_fpn.py', '../_base_/datasets/s2looking.py',
    '../_base_/schedules/adamw_40k.py', '../_base_/runtime/segmentation.py'
]
