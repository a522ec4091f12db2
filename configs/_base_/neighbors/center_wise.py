# None derives the number from the set's size N: min(10000, N // 16) clusters and min(40, max(5, N // 100))
# neighbours, which on ImageNet are the paper's 10,000 and 40 (A.2). Above 100,000 images they are found by samples of
# the images and in the nearest clusters (`exact`).
custom_hooks = [
    dict(
        type='CenterWiseNeighborHook',
        interval=5,
        num_clusters=None,
        num_neighbors=None,
        strategy='center_wise',
        extract=dict(
            batch_size=64,
            num_workers=8,
            pipeline=[
                dict(type='LoadImage'),
                dict(type='CenterView', edge=256, crop_size=224),
                dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
            ])),
]
