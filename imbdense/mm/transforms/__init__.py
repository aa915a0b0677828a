"""Registered transforms."""

from imbdense.mm.optional import import_members

import_members(
    __name__,
    {
        'albumentations_adapter': ('mmcv',),
        'band_photometric': ('mmcv',),
        'bank_paste': ('mmcv',),
        'bank_paste_3d': ('mmcv',),
        'bev_augment': ('mmcv',),
        'change_aware_crop': ('mmcv',),
        'copy_paste_change': ('mmcv',),
        'geo_turn': ('mmcv',),
        'geotiff_window': ('mmcv',),
        'load_change_pair': ('mmcv',),
        'load_kitti_points': ('mmcv',),
        'multi_view_seg': ('mmcv',),
        'normalize_bands': ('mmcv',),
        'pack_change_inputs': ('mmcv', 'mmseg'),
        'pack_point_det_inputs': ('mmcv',),
        'per_date': ('mmcv',),
        'pixel_weight': ('mmcv', 'mmseg'),
        'pseudo_boxes_3d': ('mmcv',),
        'random_object_scaling': ('mmcv',),
        'rare_box_crop': ('mmcv', 'mmdet'),
        'rare_class_crop': ('mmcv',),
        'seg_mask': ('mmcv',),
        'swap_dates': ('mmcv',),
        'two_crop_views': ('mmcv',),
    },
)
