# Everything around a pre-training run without labels: as for segmentation, but there is nothing to count or validate.
default_scope = 'mmseg'
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=20, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='imbdense.AtomicCheckpointHook', by_epoch=False, interval=200, max_keep_ckpts=2),
    progress=dict(type='imbdense.RichProgressHook'),
    nan_guard=dict(type='imbdense.NanGuardHook'),
    exact_resume=dict(type='imbdense.ExactResumeHook'),
    stop=dict(type='imbdense.GracefulStopHook'),
    report=dict(type='imbdense.ReportHook'))
env_cfg = dict(
    cudnn_benchmark=True, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0), dist_cfg=dict(backend='nccl'))
visualizer = dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False
