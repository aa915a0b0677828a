# Shows PointDC on images, without a label: dense features of a frozen ImageNet backbone, pooled over superpixels and
# clustered; `imbdense train` makes one round, and the scores after it tell what clusters alone know.
# ImageNet weights: the folder IMBDENSE_WEIGHTS (default data/weights); nothing is learned from features at random.
import os

_base_ = ['../_base_/runtime/points_by_epoch.py']
default_scope = 'mmseg'
weights = os.path.join(os.environ.get('IMBDENSE_WEIGHTS', 'data/weights'), 'mobilenetv2_1.0_in1k_mmseg.pth')
data_root = 'data/scenes'
meta = ('img_path', 'seg_map_path', 'ori_shape', 'img_shape', 'superpixel')
load = [
    dict(type='LoadImageFromFile'), dict(type='imbdense.SuperPixel', seed_size=12.0)]
loader = dict(batch_size=4, num_workers=0)
train_dataloader = dict(
    **loader, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='imbdense.SceneDataset', data_root=data_root, split='train', indices=60,
        pipeline=[*load, dict(type='PackSegInputs', meta_keys=meta)]))
val_dataloader = dict(
    **loader, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='imbdense.SceneDataset', data_root=data_root, split='val',
        pipeline=[*load, dict(type='LoadAnnotations'), dict(type='PackSegInputs', meta_keys=meta)]))
val_evaluator = dict(type='imbdense.HungarianIoU', num_clusters=40, many_to_one=True, ignore_index=255)
val_cfg = dict()
model = dict(
    type='imbdense.SuperPixelSegmentor', stage='warmup', frozen=True, channels=(16, 24, 32), layers=(0, 1, 2),
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True, pad_val=0, seg_pad_val=255,
        size=(256, 256)),
    backbone=dict(
        type='MobileNetV2', out_indices=(0, 1, 2), norm_cfg=dict(type='BN'),
        init_cfg=dict(type='Pretrained', checkpoint=weights)),
    head=dict(type='imbdense.CosineClusterHead', num_clusters=40, cos_scale=15.0, ignore_index=255))
custom_hooks = [dict(type='imbdense.SuperVoxelClusterHook', num_clusters=40)]
train_cfg = dict(by_epoch=True, max_epochs=2, val_interval=1)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.03, momentum=0.9))
