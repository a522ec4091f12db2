# What keeps CLIM's data path and queue exact.
_base_ = 'default_runtime.py'

default_hooks = dict(
    queue=dict(type='QueueHook'), quarantine=dict(type='QuarantineHook'), manifest=dict(type='ManifestHook'))
