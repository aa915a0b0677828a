"""Registered transforms."""

from imbdense.mm.optional import import_members

import_members(
    __name__,
    {
        'albumentations_adapter': ('mmcv',),
        'band_photometric': ('mmcv',),
        'bank_paste': ('mmcv',),
        'block_crop': ('mmcv',),
        'change_aware_crop': ('mmcv',),
        'copy_paste_change': ('mmcv',),
        'geo_turn': ('mmcv',),
        'geotiff_window': ('mmcv',),
        'load_change_pair': ('mmcv',),
        'load_feature_volume': ('mmcv',),
        'load_points': ('mmcv',),
        'local_geometry': ('mmcv',),
        'multi_view_seg': ('mmcv',),
        'normalize_bands': ('mmcv',),
        'pack_change_inputs': ('mmcv', 'mmseg'),
        'pack_point_inputs': ('mmcv',),
        'part_mix': ('mmcv',),
        'per_date': ('mmcv',),
        'pixel_weight': ('mmcv', 'mmseg'),
        'point_color': ('mmcv',),
        'point_geometry': ('mmcv',),
        'point_grid_sample': ('mmcv',),
        'point_height': ('mmcv',),
        'rare_box_crop': ('mmcv', 'mmdet'),
        'rare_class_crop': ('mmcv',),
        'seg_mask': ('mmcv',),
        'sphere_crop': ('mmcv',),
        'super_voxel': ('mmcv',),
        'swap_dates': ('mmcv',),
        'two_crop_views': ('mmcv',),
    },
)
