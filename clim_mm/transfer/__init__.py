"""From a pretraining checkpoint to a detector of MMDetection. Nothing here imports MMSelfSup.

Configs name ``clim_mm.transfer.mmdet_parts`` in ``custom_imports``, which registers the parts that they use.
"""
