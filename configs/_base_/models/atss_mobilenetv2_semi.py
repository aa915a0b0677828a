# The ATSS of atss_mobilenetv2.py as student and teacher of a semi-supervised detector, with batches of three branches.
# ImageNet weights: the folder IMBDENSE_WEIGHTS (default data/weights); without the file the backbone starts at random.
import os

weights = os.path.join(os.environ.get('IMBDENSE_WEIGHTS', 'data/weights'), 'mobilenetv2_1.0_in1k_mmdet.pth')
pretrained = os.path.isfile(weights)
norm_cfg = dict(type='GN', num_groups=16, requires_grad=True)
model = dict(
    type='imbdense.MeanTeacherDetector',
    data_preprocessor=dict(
        type='MultiBranchDataPreprocessor',
        data_preprocessor=dict(
            type='DetDataPreprocessor',
            mean=[127.5] * 3,  # the normalisation these weights were trained with, not the usual one of ImageNet
            std=[127.5] * 3,
            bgr_to_rgb=True,
            pad_size_divisor=32)),
    detector=dict(
        type='ATSS',
        backbone=dict(
            type='MobileNetV2',
            out_indices=(2, 4, 6),
            frozen_stages=4 if pretrained else -1,  # the early features are general; steps get faster
            norm_eval=pretrained,  # batches of a few images would spoil the statistics of the weights
            init_cfg=dict(type='Pretrained', checkpoint=weights) if pretrained else None),
        neck=dict(
            type='FPN', in_channels=[32, 96, 320], out_channels=64, num_outs=4, add_extra_convs='on_output',
            relu_before_extra_convs=True, norm_cfg=norm_cfg),
        bbox_head=dict(
            type='ATSSHead',
            num_classes=7,
            in_channels=64,
            feat_channels=64,
            stacked_convs=2,
            norm_cfg=norm_cfg,
            anchor_generator=dict(
                type='AnchorGenerator',
                octave_base_scale=4, scales_per_octave=1, ratios=[1.0], strides=[8, 16, 32, 64]),
            bbox_coder=dict(
                type='DeltaXYWHBBoxCoder', target_means=[0.0] * 4, target_stds=[0.1, 0.1, 0.2, 0.2]),
            loss_cls=dict(type='FocalLoss', use_sigmoid=True, loss_weight=1.0),  # gamma 2, alpha 0.25
            loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
            loss_centerness=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)),
        train_cfg=dict(assigner=dict(type='ATSSAssigner', topk=9), allowed_border=-1, pos_weight=-1, debug=False),
        test_cfg=dict(  # the low score cut and the many boxes keep rare classes in the evaluation
            nms_pre=500, min_bbox_size=0, score_thr=1e-3, nms=dict(type='nms', iou_threshold=0.5), max_per_img=300)))
