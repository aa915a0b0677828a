"""Detectors whose heads and test settings are those of the installed host's configs, on a tiny backbone."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config

from tests.integration.test_foreign_configs import installed

CONFIGS = {
    'yolov3': 'yolo/yolov3_d53_8xb8-320-273e_coco.py',
    'yolox': 'yolox/yolox_s_8xb8-300e_coco.py',
    'paa': 'paa/paa_r50_fpn_1x_coco.py',
    'tood': 'tood/tood_r50_fpn_1x_coco.py',
    'vfnet': 'vfnet/vfnet_r50_fpn_1x_coco.py',
    'rtmdet': 'rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
    'centernet': 'centernet/centernet_r18_8xb16-crop512-140e_coco.py',
    'mask': 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
}
NORM = {'type': 'GN', 'num_groups': 2}
STRIDES = [8, 16]


def model(kind: str) -> dict[str, Any]:
    """The model of one of :data:`CONFIGS`: three classes, 8 channels, strides 8 and 16."""
    whole = Config.fromfile(installed('mmdet', CONFIGS[kind]))
    made = whole.model.to_dict()
    made.pop('data_preprocessor')
    made['backbone'] = {'type': 'TwoConvBackbone'}
    made['neck'] = {'type': 'FPN', 'in_channels': [8, 8], 'out_channels': 8, 'num_outs': 2}
    if kind == 'mask':
        return _masks(made)
    head = made['bbox_head']
    head.update(num_classes=3)
    _CHANGES[kind](made, head)
    if 'nms_pre' in made['test_cfg'] and kind != 'rtmdet':
        made['test_cfg']['nms_pre'] = 60
    return made


def _yolov3(made: dict[str, Any], head: dict[str, Any]) -> None:
    made['backbone'] = {'type': 'TwoConvBackbone', 'coarse_first': True}
    made['neck'] = {'type': 'ChannelMapper', 'in_channels': [8, 8], 'kernel_size': 1, 'out_channels': 8, 'num_outs': 2}
    generator = head['anchor_generator']
    generator.update(strides=STRIDES[::-1], base_sizes=[[(40, 30), (30, 40)], [(10, 13), (20, 16)]])
    head.update(in_channels=[8, 8], out_channels=[8, 8], featmap_strides=STRIDES[::-1])


def _yolox(made: dict[str, Any], head: dict[str, Any]) -> None:
    head.update(in_channels=8, feat_channels=8, strides=STRIDES)


def _anchors(made: dict[str, Any], head: dict[str, Any]) -> None:
    head['anchor_generator'].update(strides=STRIDES)
    head.update(in_channels=8, feat_channels=8, stacked_convs=2, norm_cfg=NORM)


def _vfnet(made: dict[str, Any], head: dict[str, Any]) -> None:
    anchors = {'type': 'AnchorGenerator', 'ratios': [1.0], 'octave_base_scale': 8, 'scales_per_octave': 1,
               'center_offset': 0.0, 'strides': STRIDES}  # fmt: skip
    head.update(in_channels=8, feat_channels=8, strides=STRIDES, regress_ranges=((-1, 64), (64, 1e8)), norm_cfg=NORM,
                anchor_generator=anchors)  # fmt: skip


def _rtmdet(made: dict[str, Any], head: dict[str, Any]) -> None:
    head['anchor_generator'].update(strides=STRIDES)
    head.update(in_channels=8, feat_channels=8, norm_cfg={'type': 'BN'})


def _centernet(made: dict[str, Any], head: dict[str, Any]) -> None:
    made['backbone'] = {'type': 'TwoConvBackbone', 'maps': 1}
    made['neck'] = None
    head.update(in_channels=8, feat_channels=8)


_CHANGES = {
    'yolov3': _yolov3, 'yolox': _yolox, 'paa': _anchors, 'tood': _anchors, 'vfnet': _vfnet, 'rtmdet': _rtmdet,
    'centernet': _centernet,
}  # fmt: skip


def _masks(made: dict[str, Any]) -> dict[str, Any]:
    """Mask R-CNN."""
    made['rpn_head']['anchor_generator'].update(strides=STRIDES, scales=[2])
    made['rpn_head'].update(in_channels=8, feat_channels=8)
    roi = made['roi_head']
    for part in ('bbox_roi_extractor', 'mask_roi_extractor'):
        roi[part].update(out_channels=8, featmap_strides=STRIDES)
    roi['bbox_head'].update(in_channels=8, fc_out_channels=16, num_classes=3)
    roi['mask_head'].update(num_convs=1, in_channels=8, conv_out_channels=8, num_classes=3)
    made['test_cfg']['rpn'].update(nms_pre=200, max_per_img=80)
    return made
