"""From views to what a batch is made of."""

import numpy as np
import torch

from clim_mm.datasets import PackPair, stack_collate


def results(lam, resolutions=(32, 24), sample_idx=3):
    rng = np.random.default_rng(sample_idx)

    def renderings():
        return [rng.integers(0, 256, (r, r, 3)).astype(np.uint8) for r in resolutions]

    return dict(
        views={name: renderings() for name in ('query', 'positive_query', 'anchor_key', 'positive_key')},
        sample_idx=sample_idx,
        positive_idx=8,
        lam=lam,
        table_version=2,
        rng=rng)


def test_inputs_are_the_query_and_the_keys_by_name():
    given = results([0.25, 0.3])
    packed = PackPair()(given)
    assert set(packed) == {'inputs', 'data_samples'}
    assert list(packed['inputs']) == ['query', 'anchor_key', 'positive_key'], 'nothing is left of what was to be mixed'
    for name, tensors in packed['inputs'].items():
        for tensor, image in zip(tensors, given['views'][name], strict=True):
            assert tensor.dtype == torch.uint8
            np.testing.assert_array_equal(tensor.numpy(), image.transpose(2, 0, 1))


def test_flipped_images_can_be_packed():
    # np.flip gives negative strides, which torch refuses.
    given = results([0.25, 0.3])
    expected = given['views']['query'][0][:, ::-1].transpose(2, 0, 1).copy()
    given['views']['query'] = [image[:, ::-1] for image in given['views']['query']]
    np.testing.assert_array_equal(PackPair()(given)['inputs']['query'][0].numpy(), expected)


def test_the_views_that_were_given_stay_images():
    given = results([0.25, 0.3])
    PackPair()(given)
    assert [image.shape for image in given['views']['query']] == [(32, 32, 3), (24, 24, 3)]


def test_data_sample():
    sample = PackPair()(results([0.25, 0.3]))['data_samples']
    assert sample.lam == [0.25, 0.3]
    assert sample.positive_idx == 8 and sample.table_version == 2
    assert sample.sample_idx.value.tolist() == [3] and not isinstance(sample.sample_idx.value, torch.Tensor)
    assert set(sample.metainfo_keys()) == {'positive_idx', 'lam', 'table_version'}


def test_samples_stack_to_a_batch():
    batch = stack_collate([PackPair()(results([0.5, 0.5], sample_idx=i)) for i in range(4)])
    assert list(batch['inputs']) == ['query', 'anchor_key', 'positive_key']
    for views in batch['inputs'].values():
        assert [tuple(x.shape) for x in views] == [(4, 3, 32, 32), (4, 3, 24, 24)]
    assert [sample.sample_idx.value.item() for sample in batch['data_samples']] == [0, 1, 2, 3]
    expected = PackPair()(results([0.5, 0.5], sample_idx=2))['inputs']
    for name, views in expected.items():
        for stacked, one in zip(batch['inputs'][name], views, strict=True):
            torch.testing.assert_close(stacked[2], one)


def test_there_can_be_more_queries_than_keys():
    given = results([0.2, 0.3, 1.0])
    given['views']['query'].append(np.full((20, 20, 3), 7, np.uint8))
    packed = PackPair()(given)
    assert {name: [x.shape[-1] for x in views] for name, views in packed['inputs'].items()} == dict(
        query=[32, 24, 20], anchor_key=[32, 24], positive_key=[32, 24])
    assert packed['data_samples'].lam == [0.2, 0.3, 1.0]
