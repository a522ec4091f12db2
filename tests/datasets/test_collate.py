"""Stacking a batch as MMEngine does, also from a config that was inherited by its package."""

import pytest
import torch
from mmengine.dataset import default_collate
from mmengine.runner import Runner

from clim_mm.datasets import ImageFolder, SingleViews, stack_collate
from clim_mm.errors import ConfigError

PIPELINE = [
    dict(type='clim_mm.LoadImage'),
    dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
]


@pytest.mark.parametrize('options', [dict(), dict(_scope_='clim_mm'), dict(_scope_=None)])
def test_it_is_mmengines_collate(class_folder, options):
    views = SingleViews(ImageFolder(str(class_folder)), PIPELINE)
    samples = [views[i] for i in (3, 0, 7)]
    batch, expected = stack_collate(samples, **options), default_collate(samples)
    assert set(batch) == set(expected) == {'inputs', 'data_samples'}
    assert len(batch['inputs']) == len(expected['inputs']) == 1
    assert batch['inputs'][0].shape == (3, 3, 40, 48) and batch['inputs'][0].dtype == torch.uint8
    assert torch.equal(batch['inputs'][0], expected['inputs'][0])
    assert torch.equal(batch['inputs'][0], torch.stack([sample['inputs'][0] for sample in samples]))
    assert [int(sample.sample_idx.value) for sample in batch['data_samples']] == [3, 0, 7]


@pytest.mark.parametrize('scope', [dict(), dict(_scope_='clim_mm')], ids=['own config', 'inherited config'])
@pytest.mark.parametrize('num_workers', [0, 1])
def test_a_loader_from_a_config(class_folder, scope, num_workers):
    loader = Runner.build_dataloader(
        dict(
            batch_size=5,
            num_workers=num_workers,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='clim_mm.stack_collate', **scope),
            dataset=SingleViews(ImageFolder(str(class_folder)), PIPELINE)))
    batches = list(loader)
    assert [batch['inputs'][0].shape[0] for batch in batches] == [5, 5, 2]
    ids = [int(sample.sample_idx.value) for batch in batches for sample in batch['data_samples']]
    assert ids == list(range(12))


@pytest.mark.parametrize('samples', [
    [dict(inputs=[torch.zeros(3, 4, 4)]), dict(inputs=[torch.zeros(3, 5, 4)])],
    [dict(inputs=torch.zeros(3, 4, 4)), dict(inputs=torch.zeros(1, 4, 4))],
    [dict(inputs=object()), dict(inputs=object())],
    [dict(inputs=torch.zeros(1)), dict(image=torch.zeros(1))],
])
def test_samples_that_cannot_be_stacked(samples):
    with pytest.raises(ConfigError, match='The samples of a batch cannot be stacked .*: let the pipeline end') as e:
        stack_collate(samples)
    assert len(str(e.value).splitlines()) == 1
