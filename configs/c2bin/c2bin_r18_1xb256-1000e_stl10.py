# C2BIN on STL-10: heads of C, 2C and 4C clusters for its C = 10 classes [ours].
_base_ = '../byol/byol_r18_1xb256-1000e_stl10.py'

model = dict(
    type='C2BIN',
    cluster_head=dict(type='ClusterContrastHead', in_channels=512),
    num_clusters=(10, 20, 40),
    clustered_labels_only=True)

# The unlabelled images are bootstrapped only [CC].
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.train_dataloader.dataset.pipeline[:-1],
            dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx', 'gt_label']),
        ]))
