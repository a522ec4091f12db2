# The sum over the pairs of resolutions [paper 3.3]; by default the mean [ours].
_base_ = '../clim_r50_16xb32-200e_in1k.py'

model = dict(sum_pairs=True)
