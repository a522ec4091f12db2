# Five methods on 10,000 images of CIFAR-10, as many seen by each, with the learning rates that cifar10_pilot.py chose;
# measured on 2,000 images of the test part. `seconds` are of a machine that runs two at once.
_base_ = 'cifar10_pilot.py'

rows = {
    '_delete_': True,
    'mocov2': dict(config='configs/mocov2/mocov2_r18_1xb40-12e_cifar10.py'),
    'clim': dict(config='configs/clim/clim_r18_1xb40-12e_cifar10.py'),
    'hsa': dict(config='configs/hsa/hsa_r18_1xb40-12e_cifar10.py'),
    'byol': dict(config='configs/byol/byol_r18_1xb100-12e_cifar10.py'),
    'c2bin': dict(config='configs/c2bin/c2bin_r18_1xb100-12e_cifar10.py'),
}
seeds = [0, 1, 2]
baseline = 'mocov2'
metrics = [
    'knn_20_top1', 'probe_top1', 'nmi_kmeans', 'acc_kmeans', 'ari_kmeans', 'acc_head_10', 'intra_class_similarity',
    'seconds']
# A CPU computes these convolutions in channels_last 1.3 times as fast, the same to the last digits.
options = {'held_out.data_prefix': 'test', 'train_cfg.max_epochs': 12, 'model.channels_last': True}
comparisons = [('clim', 'mocov2'), ('hsa', 'mocov2'), ('hsa', 'clim'), ('byol', 'mocov2'), ('c2bin', 'byol')]
