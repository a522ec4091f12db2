# The baseline of the paper's 800 epochs (Table 11).
_base_ = 'mocov2_r50_16xb32-200e_in1k.py'

train_cfg = dict(max_epochs=800)
