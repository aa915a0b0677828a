"""Registered hooks."""

from imbdense.mm.optional import import_members

import_members(
    __name__,
    {
        'adaptive_score_thr_hook': (),
        'atomic_checkpoint_hook': (),
        'calibration_hook': (),
        'class_count_hook': (),
        'class_list_hook': (),
        'dataset_shift_hook': (),
        'decoupled_stage2_hook': (),
        'deferred_rebalance_hook': (),
        'ema_teacher_hook': (),
        'exact_resume_hook': (),
        'feature_tap_hook': (),
        'fractal_calibration': (),
        'geo_stats_hook': (),
        'graceful_stop_hook': (),
        'nan_guard_hook': (),
        'neural_collapse_hook': (),
        'post_classification_hook': ('mmseg',),
        'post_hoc_logit_adjust_hook': (),
        'prior_bias_init_hook': (),
        'prior_estimate_hook': ('mmseg',),
        'progress_hook': ('mmseg',),
        'pseudo_label_round_hook': ('mmdet',),
        'rare_collapse_hook': (),
        'report_hook': (),
        'rich_progress_hook': (),
        'slide_inference_hook': (),
        'spectrum_hook': (),
        'ssp_load_hook': (),
        'super_voxel_cluster_hook': (),
    },
)
