# Shows repeat-factor sampling: images with a rare class are drawn more often; one line changes, the loss stays focal.
_base_ = [
    '../_base_/models/retinanet_mobilenetv2.py', '../_base_/datasets/bccd.py',
    '../_base_/schedules/adamw_400.py', '../_base_/runtime/detection.py'
]
model = dict(bbox_head=dict(num_classes=3))
train_dataloader = dict(sampler=dict(type='imbdense.RepeatFactorSampler', infinite=True))
