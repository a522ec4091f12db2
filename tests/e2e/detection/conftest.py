"""The detection tests fork from a server that has imported MMDetection as well."""

from gloo import CONTEXT, PRELOADED

CONTEXT.set_forkserver_preload(
    [*PRELOADED, 'mmdet.models', 'mmdet.datasets', 'mmdet.evaluation', 'mmdet.visualization'])
