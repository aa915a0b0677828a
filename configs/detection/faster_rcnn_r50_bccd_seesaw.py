# Shows a two-stage detector for a GPU with Seesaw loss: the box head asks the loss for its channels and its scores.
_base_ = [
    '../_base_/models/faster_rcnn_r50.py', '../_base_/datasets/bccd.py',
    '../_base_/schedules/sgd_6k.py', '../_base_/runtime/detection.py'
]
model = dict(
    roi_head=dict(bbox_head=dict(num_classes=3, loss_cls=dict(type='imbdense.SyncedSeesawLoss'))))
default_hooks = dict(checkpoint=dict(interval=500))
