# How long the queue may be and how slowly the momentum encoder may follow, for MoCo v2 and for positives of the same
# class (OraclePositivesHook), on the images of cifar10.py: four epochs, 2,000 images of the training part.
_base_ = 'cifar10_pilot.py'

_mocov2 = 'configs/mocov2/mocov2_r18_1xb40-12e_cifar10.py'
_pulled = 'configs/clim/clim_r18_1xb40-12e_cifar10_nomix.py'
_oracle = {'default_hooks.neighbors.type': 'OraclePositivesHook', 'default_hooks.neighbors.purity': 1.0}

rows = {
    '_delete_': True,
    **{f'pulled-q{queue}-m{momentum}': dict(
        config=_pulled, options={'model.queue_len': queue, 'model.momentum': momentum, **_oracle})
       for queue, momentum in ((1250, 0.99), (320, 0.99), (320, 0.999), (1250, 0.999))},
    **{f'mocov2-q{queue}-m{momentum}': dict(
        config=_mocov2, options={'model.queue_len': queue, 'model.momentum': momentum})
       for queue in (1250, 320, 80) for momentum in (0.99, 0.999)},
}
seeds = [101]
baseline = 'mocov2-q1250-m0.99'
metrics = ['knn_20_top1', 'probe_top1']
options = {
    'train_cfg.max_epochs': 4, 'model.channels_last': True, 'optim_wrapper.type': 'Bf16OptimWrapper'}
