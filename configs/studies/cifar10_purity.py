# What positives are worth by their purity, on the images of cifar10.py: drawn by the labels (OraclePositivesHook) from
# the first epoch on, pulled alone or mixed in, against MoCo v2. Measured on 2,000 images of the training part that no
# run trains on. bfloat16 and channels_last: minutes a run on a CPU that computes in it.
_base_ = 'cifar10_pilot.py'

_purity = 'default_hooks.neighbors.purity'
_kinds = dict(
    pulled='configs/clim/clim_r18_1xb40-12e_cifar10_nomix.py', mixed='configs/clim/clim_r18_1xb40-12e_cifar10.py')

rows = {
    '_delete_': True,
    'mocov2': dict(config='configs/mocov2/mocov2_r18_1xb40-12e_cifar10.py'),
    **{f'{kind}-{purity}': dict(
        config=config, options={'default_hooks.neighbors.type': 'OraclePositivesHook', _purity: purity})
       for kind, config in _kinds.items() for purity in (0.2, 0.3, 0.45, 0.6, 0.8, 1.0)},
}
seeds = [200, 201, 202]  # none of the other studies'
baseline = 'mocov2'
metrics = ['knn_20_top1', 'probe_top1', 'purity', 'intra_class_similarity']
options = {
    'train_cfg.max_epochs': 12, 'model.channels_last': True, 'optim_wrapper.type': 'Bf16OptimWrapper'}
