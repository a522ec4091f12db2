# The learning rates of cifar10.py: three for each method, in two epochs, by 2,000 images of the training part that no
# run trains on. The images, from those of tools/prepare_cifar.py:
# python tools/prepare_subset.py data/cifar10 data/cifar10_10k --train 1000 --val 200 --test 200
_methods = dict(
    mocov2=('configs/mocov2/mocov2_r18_1xb40-12e_cifar10.py', (0.015, 0.03, 0.06)),
    clim=('configs/clim/clim_r18_1xb40-12e_cifar10.py', (0.015, 0.03, 0.06)),
    hsa=('configs/hsa/hsa_r18_1xb40-12e_cifar10.py', (0.015, 0.03, 0.06)),
    byol=('configs/byol/byol_r18_1xb100-12e_cifar10.py', (0.1, 0.2, 0.4)),
    c2bin=('configs/c2bin/c2bin_r18_1xb100-12e_cifar10.py', (0.1, 0.2, 0.4)))

rows = {
    f'{name}-lr{lr}': dict(config=config, options={'optim_wrapper.optimizer.lr': lr, 'auto_scale_lr.base_lr': lr})
    for name, (config, rates) in _methods.items() for lr in rates}
seeds = [100]  # none of the study's
baseline = 'mocov2-lr0.03'
training = dict()
metrics = ['knn_20_top1', 'probe_top1']
options = {
    'source.data_root': 'data/cifar10_10k',
    'train_dataloader.dataset.dataset.data_root': 'data/cifar10_10k',
    'held_out.data_prefix': 'val',
    'train_cfg.max_epochs': 2,
    'train_dataloader.num_workers': 1,
    'default_hooks.preflight.seconds': 0}
comparisons = []
