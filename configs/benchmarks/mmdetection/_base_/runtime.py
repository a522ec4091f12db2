_base_ = 'mmdet::_base_/default_runtime.py'

default_hooks = dict(checkpoint=dict(max_keep_ckpts=3, backend_args=dict(backend='clim_mm.atomic')))
visualizer = dict(vis_backends=[dict(type='WholeLinesVisBackend')])
