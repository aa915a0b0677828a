"""Registered datasets."""

from imbdense.mm.optional import import_members

import_members(
    __name__,
    {
        'autolabel_dataset': (),
        'any_coco_dataset': ('mmdet',),
        'any_voc_dataset': ('mmdet',),
        'bi_temporal_geotiff_dataset': (),
        'change_pair_dataset': ('mmseg',),
        'imbalanced_subset_dataset': (),
        'kitti_box_dataset': (),
        'multi_source_geotiff_dataset': (),
        'point_folder_dataset': (),
        'point_pair_dataset': (),
        'public_point_datasets': (),
        'scene_dataset': ('mmseg',),
        'seg_folder_dataset': ('mmseg',),
        'semi_dataset': (),
        'semi_long_tail_dataset': (),
        'unlabeled_seg_dataset': ('mmseg',),
    },
)
