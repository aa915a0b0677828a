"""Registered metrics. They return per-class values, so that every logger sees them, and leave an artefact."""

from imbdense.mm.optional import import_members

import_members(
    __name__,
    {
        'confusion_metric': (),
        'dense_ranking_metric': (),
        'calibration_metric': (),
        'change_miou': (),
        'scd_metric': (),
        'bcd_metric': (),
        'xview2_metric': (),
        'dynamic_earth_net_metric': (),
        'post_classification_metric': (),
        'kitti_ap_metric': (),
        'point_instance_ap_metric': (),
        'hungarian_iou': (),
        'point_iou_metric': (),
        'frequency_grouped_coco_metric': ('pycocotools',),
    },
)
