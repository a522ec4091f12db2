# 16x16 digits, in the quickstart's setting.
_base_ = '../clim/clim_r18_1xb32-20e_digits.py'
