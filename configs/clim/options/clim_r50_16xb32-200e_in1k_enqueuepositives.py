# The positives' keys enter the queue too [ours]; by default the anchors' alone [csml].
_base_ = '../clim_r50_16xb32-200e_in1k.py'

model = dict(enqueue_positives=True)
