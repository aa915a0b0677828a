# Shows any segmentor of the host as a change detector: ImageNet MobileNetV2 and FPN at both dates, |a - b| per scale.
_base_ = [
    '../_base_/models/mobilenetv2_fpn.py',
    '../_base_/datasets/dubai_scd_semisynthetic.py', '../_base_/schedules/adamw_200.py',
    '../_base_/runtime/segmentation.py'
]
model = dict(
    type='imbdense.SiameseSegmentor',
    data_preprocessor=dict(type='imbdense.DenseDataPreProcessor', dates=2),
    decode_head=dict(num_classes=2),
    fusion='diff')
