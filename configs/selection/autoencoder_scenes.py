# Shows how features of tiles are learned without labels: an autoencoder with the structural similarity as its loss, on
# the generated scenes as if they were unlabelled. Its features feed `imbdense.BinnedClusterSelector`. A quarter of the
# published widths, 64 x 64 crops: about a minute on a CPU. The published network has the default widths, (32, 64, 128,
# 256, 512, 512), on tiles of 256 x 256, Adam 1e-3, 20 epochs.
# Make the data with: imbdense generate scenes --preset demo --out data/scenes
_base_ = ['../_base_/runtime/pretraining.py']
data_root = 'data/scenes'
crop_size = (64, 64)
model = dict(
    type='imbdense.ConvAutoEncoder',
    widths=(8, 16, 32, 64, 128, 128),
    loss=dict(type='imbdense.SSIMLoss'),
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[0.0] * 3,  # [0, 1], the range of the decoder's sigmoid
        std=[255.0] * 3,
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=crop_size))
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='imbdense.UnlabeledSegDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/train'),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='RandomCrop', crop_size=crop_size),
            dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
            dict(type='PackSegInputs'),
        ]))
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='Adam', lr=3e-3), clip_grad=dict(max_norm=10.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=20),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=20, end=200, T_max=180, eta_min=1e-5),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=200)
test_dataloader = dict(  # whole images, for whoever takes the features
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='imbdense.UnlabeledSegDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/train'),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]))
test_evaluator = []
test_cfg = dict(type='TestLoop')
