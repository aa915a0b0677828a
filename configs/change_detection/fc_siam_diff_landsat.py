# Shows six bands and sparse labels (87 % of the scene unknown): FC-Siam-diff on a pair of Landsat scenes.
_base_ = [
    '../_base_/models/fc_siam.py', '../_base_/datasets/landsat_taizhou_cd.py', '../_base_/schedules/adamw_200.py',
    '../_base_/runtime/segmentation.py'
]
model = dict(
    data_preprocessor=dict(mean=[127.5] * 6, std=[127.5] * 6, bgr_to_rgb=False),
    backbone=dict(in_channels=6),
    decode_head=dict(loss_decode=dict(avg_non_ignore=True)))  # the mean over known pixels, not over all
