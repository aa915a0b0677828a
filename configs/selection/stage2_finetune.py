# Shows the second of two stages: fine-tune on the human labels of the selected images, a tenth of the learning rate.
# As many epochs on them as training from scratch would take, but at least 2 000 iterations on real data (200 are
# enough for these scenes). `imbdense select stages` sets load_from to the checkpoint of the first stage.
_base_ = [
    '../_base_/models/unet_small.py', '../_base_/datasets/scenes.py',
    '../_base_/schedules/adamw_200.py', '../_base_/runtime/segmentation.py'
]
train_dataloader = dict(dataset=dict(ann_file='selected.txt'))
optim_wrapper = dict(optimizer=dict(lr=5e-4))
