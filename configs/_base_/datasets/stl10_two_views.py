# Two views of 96 pixels of each image of STL-10, by tools/prepare_stl10.py: labelled and unlabelled ones; with blur.
_base_ = 'cifar10_two_views.py'

blur = dict(type='RandomGaussianBlur', sigma_min=0.1, sigma_max=2.0, prob=0.5)
multi_view = _base_.train_dataloader.dataset.pipeline[1]

train_dataloader = dict(
    dataset=dict(
        dataset=dict(data_root='data/stl10', unlabelled='unlabelled'),
        pipeline=[
            _base_.train_dataloader.dataset.pipeline[0],
            dict(multi_view, transforms=[[dict(multi_view.transforms[0][0], size=96), *_base_.photometric, blur]]),
            _base_.train_dataloader.dataset.pipeline[-1],
        ]))
