# Everything around a point cloud run that is the same in all our configs: logs, checkpoints, safety, counts, report.
default_scope = 'mmengine'
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=20, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='imbdense.AtomicCheckpointHook', by_epoch=False, interval=200, max_keep_ckpts=2, save_best='mIoU'),
    progress=dict(type='imbdense.RichProgressHook'),
    nan_guard=dict(type='imbdense.NanGuardHook'),
    exact_resume=dict(type='imbdense.ExactResumeHook'),
    stop=dict(type='imbdense.GracefulStopHook'),
    class_counts=dict(type='imbdense.ClassCountHook'),
    report=dict(type='imbdense.ReportHook'))
env_cfg = dict(
    cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0), dist_cfg=dict(backend='nccl'))
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False
