# Everything around a point cloud run by epochs that is the same in all our configs: logs, checkpoints, safety, report.
default_scope = 'mmengine'
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=10),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='imbdense.AtomicCheckpointHook', interval=5, max_keep_ckpts=2),
    progress=dict(type='imbdense.RichProgressHook'),
    nan_guard=dict(type='imbdense.NanGuardHook'),
    exact_resume=dict(type='imbdense.ExactResumeHook'),
    stop=dict(type='imbdense.GracefulStopHook'),
    report=dict(type='imbdense.ReportHook'))
env_cfg = dict(
    cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0), dist_cfg=dict(backend='nccl'))
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
log_processor = dict(by_epoch=True)
log_level = 'INFO'
load_from = None
resume = False
