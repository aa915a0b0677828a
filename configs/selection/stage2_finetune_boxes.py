# Shows the second of two stages for a detector: fine-tune on the human labels of the selected images, a tenth of the
# learning rate. As many epochs on them as training from scratch would take, but at least 2 000 iterations on real data
# (200 are enough to see it work). `imbdense select stages` sets load_from to the checkpoint of the first stage.
_base_ = [
    '../_base_/models/atss_mobilenetv2.py', '../_base_/datasets/scenes_boxes.py',
    '../_base_/schedules/adamw_200.py', '../_base_/runtime/detection.py'
]
model = dict(bbox_head=dict(num_classes=7))
train_dataloader = dict(dataset=dict(ann_file='annotations/selected.json'))
optim_wrapper = dict(optimizer=dict(lr=3e-4))
