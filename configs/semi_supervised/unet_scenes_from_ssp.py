# Shows training on ten labelled scene images from the backbone that unet_scenes_ssp.py pre-trained without labels, and
# the check that all of it arrived. Without init_cfg and hook it is the base to compare with. About a minute on a CPU.
_base_ = [
    '../_base_/models/unet_small.py', '../_base_/datasets/scenes.py',
    '../_base_/schedules/adamw_200.py', '../_base_/runtime/segmentation.py'
]
model = dict(backbone=dict(init_cfg=dict(
    type='Pretrained', checkpoint='work_dirs/unet_scenes_ssp/iter_200.pth', prefix='backbone.')))
train_dataloader = dict(dataset=dict(indices=10))
custom_hooks = [dict(type='imbdense.SSPLoadHook')]
