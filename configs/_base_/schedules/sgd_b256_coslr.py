# lr 0.03 for a batch of 256 [csml; moco]: the rate for an image is that of sgd_b512_coslr.py.
_base_ = 'sgd_b512_coslr.py'

optim_wrapper = dict(optimizer=dict(lr=0.03))
