"""Views that the device finishes, in a training by the command, and in the picture of what the network is fed."""

import pytest
import torch

DEVICE = 'configs/clim/clim_r50_16xb32-200e_in1k_device.py'

pytestmark = pytest.mark.e2e


def test_training_with_the_shipped_config(train, run, imagenet_like, tmp_path):
    result = train(tmp_path / 'work', 1, config=DEVICE, options=['default_hooks.preflight.seconds=5'])
    assert result.returncode == 0, result.stdout[-3000:]
    assert 'Saving checkpoint at 1 epochs' in result.stdout
    state = torch.load(tmp_path / 'work' / 'epoch_1.pth', weights_only=False)
    assert all(torch.isfinite(value).all() for value in state['state_dict'].values())
    data = f'train_dataloader.dataset.dataset.data_root={imagenet_like}'
    picture = run(
        'tools/browse_views.py', DEVICE, '--num', '2', '--out', tmp_path / 'views.png', '--checkpoint',
        tmp_path / 'work' / 'epoch_1.pth', '--cfg-options', data)
    assert picture.returncode == 0, picture.stdout[-3000:]
    assert (tmp_path / 'views.png').read_bytes().startswith(b'\x89PNG')


def test_views_that_nobody_finishes_are_refused(train, tmp_path):
    result = train(tmp_path, 1, options=['train_dataloader.dataset.pipeline.0.view.0.on_device=True'])
    assert result.returncode != 0
    assert 'set model.data_preprocessor.type to "DeviceViews"' in result.stdout and 'Traceback' not in result.stdout
