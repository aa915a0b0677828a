"""Registered heads."""

from imbdense.mm.optional import import_members

import_members(
    __name__,
    {
        'paco_head': (),
        'bal_scl_head': (),
        'region_rebalance_aux': (),
        'region_rebalance_head': ('mmseg',),
        'center_collapse_head': ('mmcv',),
        'cosine_cluster_head': (),
        'etf_linear': ('mmcv',),
        'etf_seg_head': ('mmcv',),
        'normed_det_head': (),
        'normed_seg_head': (),
        'guided_wrappers': (),
        'pixel_weight_head': ('mmseg',),
        'sampling_free_bbox_head': ('mmdet',),
        'loce_bbox_head': ('mmdet',),
        'bacl_bbox_head': ('mmdet',),
        'sampling_free_dense': ('mmdet',),
        'sampling_free_yolov3_head': ('mmdet',),
        'vss_change_head': ('mmseg',),
        'cga_semantic_head': ('mmseg',),
        'fc_siam_head': ('mmseg',),
        'changer_head': ('mmseg',),
        'change_vit_head': ('mmseg',),
        'point_seg_head': (),
        'binary_then_multiclass_head': ('mmseg',),
    },
)
