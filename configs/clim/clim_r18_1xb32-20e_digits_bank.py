# Refreshes take the mean of each image's last keys, and extract only images without one [ours].
_base_ = 'clim_r18_1xb32-20e_digits.py'

default_hooks = dict(neighbors=dict(feature_source='bank'))
