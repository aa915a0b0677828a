# Shows a two-stage detector for a GPU with balanced softmax over the objects; the background keeps its place.
_base_ = [
    '../_base_/models/faster_rcnn_r50.py', '../_base_/datasets/bccd.py',
    '../_base_/schedules/sgd_6k.py', '../_base_/runtime/detection.py'
]
model = dict(
    roi_head=dict(bbox_head=dict(num_classes=3, loss_cls=dict(type='imbdense.BalancedSoftmaxLoss'))))
default_hooks = dict(checkpoint=dict(interval=500))
