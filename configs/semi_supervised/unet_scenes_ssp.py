# Shows self-supervised pre-training: the backbone of the small U-Net learns from scene images without any label. About
# a minute on a CPU; unet_scenes_from_ssp.py goes on from its checkpoint. Watch stat_embedding_spread: 0 is collapse.
_base_ = [
    '../_base_/models/unet_small_ssp.py', '../_base_/datasets/scenes_views.py',
    '../_base_/schedules/adamw_200.py', '../_base_/runtime/pretraining.py'
]
model = dict(task=dict(
    type='imbdense.DenseCLTask', dim=64, hidden=64, queue_size=2048, momentum=0.99, grid=6))
val_cfg = None
test_cfg = None
