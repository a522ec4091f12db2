# Refreshes take the mean of each image's last keys, and extract only images without one [ours].
_base_ = 'clim_r18_1xb32-20e_digits.py'

custom_hooks = [dict(_base_.custom_hooks[0], feature_source='bank'), _base_.custom_hooks[1]]
