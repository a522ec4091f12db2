default_scope = 'clim_mm'
custom_imports = dict(imports=['clim_mm'])

default_hooks = dict(
    runtime_info=dict(type='RuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook', interval=5, max_keep_ckpts=3, backend_args=dict(backend='clim_mm.atomic')),
    checkpoint_guard=dict(type='CheckpointGuardHook'),
    sampler_seed=dict(type='EpochRandomnessHook'),
    watchdog=dict(type='WatchdogHook'),
    history=dict(type='HistoryHook'),
    loader_watch=dict(type='LoaderWatchHook'),
    preflight=dict(type='PreflightHook'))

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))

# The framework would average the losses alone over the last iterations, and show the methods' figures of one.
log_processor = dict(
    type='LogProcessor',
    window_size=10,
    mean_pattern=r'.*(loss|time|grad_norm|relative_nce|similarity|feature_std|queue_fill|without_positive|cluster).*',
    custom_cfg=[dict(data_src='', method='mean', window_size='global')])
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])

log_level = 'INFO'
load_from = None
resume = False
