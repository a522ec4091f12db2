# What positives are worth by their purity, on the images of cifar10.py: drawn by the labels (OraclePositivesHook) after
# the first third of the epochs, which are MoCo v2's at its rate, and then pulled alone or mixed in. Measured on 2,000
# images of the training part that no run trains on. bfloat16 and channels_last: minutes a run on a CPU that computes
# in it.
_base_ = 'cifar10_pilot.py'

_hook = 'default_hooks.neighbors'
_lr = {'optim_wrapper.optimizer.lr': 0.06, 'auto_scale_lr.base_lr': 0.06}
_kinds = dict(
    mixed='configs/clim/clim_r18_1xb40-12e_cifar10.py', pulled='configs/clim/clim_r18_1xb40-12e_cifar10_nomix.py')

rows = {
    '_delete_': True,
    'mocov2': dict(config='configs/mocov2/mocov2_r18_1xb40-12e_cifar10.py'),
    **{f'{kind}-{purity}': dict(
        config=config,
        options={f'{_hook}.type': 'OraclePositivesHook', f'{_hook}.purity': purity, f'{_hook}.begin': 4, **_lr})
       for purity in (1.0, 0.6, 0.3, 0.45, 0.8, 0.2) for kind, config in _kinds.items()},
}
seeds = [200, 201, 202]  # none of the other studies'
baseline = 'mocov2'
metrics = ['knn_20_top1', 'probe_top1', 'purity', 'intra_class_similarity']
options = {
    'train_cfg.max_epochs': 12, 'model.channels_last': True, 'optim_wrapper.type': 'Bf16OptimWrapper'}
