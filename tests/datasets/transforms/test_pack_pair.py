"""From views to what a batch is made of."""

import numpy as np
import pytest
import torch

from clim_mm.datasets import PackPair, stack_collate


def results(lam, resolutions=(32, 24), sample_idx=3):
    rng = np.random.default_rng(sample_idx)

    def renderings():
        return [rng.integers(0, 256, (r, r, 3)).astype(np.uint8) for r in resolutions]

    return dict(
        query=renderings(),
        positive_query=renderings(),
        anchor_key=renderings(),
        positive_key=renderings(),
        sample_idx=sample_idx,
        positive_idx=8,
        lam=lam,
        table_version=2,
        unreadable={4: 'd/4.png\tthe file is empty'} if sample_idx == 3 else {},
        rng=rng)


def test_inputs_are_the_query_then_the_keys():
    given = results([0.25, 0.3])
    expected = given['query'] + given['anchor_key'] + given['positive_key']
    packed = PackPair()(given)
    assert set(packed) == {'inputs', 'data_samples'}
    assert len(packed['inputs']) == 6
    for tensor, image in zip(packed['inputs'], expected, strict=True):
        assert tensor.dtype == torch.uint8
        np.testing.assert_array_equal(tensor.numpy(), image.transpose(2, 0, 1))


def test_flipped_images_can_be_packed():
    # np.flip gives negative strides, which torch refuses.
    given = results([0.25, 0.3])
    expected = given['query'][0][:, ::-1].transpose(2, 0, 1).copy()
    given['query'] = [image[:, ::-1] for image in given['query']]
    np.testing.assert_array_equal(PackPair()(given)['inputs'][0].numpy(), expected)


def test_the_views_that_were_given_stay_images():
    given = results([0.25, 0.3])
    PackPair()(given)
    assert [image.shape for image in given['query']] == [(32, 32, 3), (24, 24, 3)]


@pytest.mark.parametrize('lam, expected', [([0.25, 0.3], [0.25, 0.3]), (1.0, [1.0, 1.0]), (0.0, [0.0, 0.0])])
def test_data_sample(lam, expected):
    sample = PackPair()(results(lam))['data_samples']
    assert sample.lam == expected
    assert sample.positive_idx == 8 and sample.table_version == 2
    assert sample.sample_idx.value.tolist() == [3] and not isinstance(sample.sample_idx.value, torch.Tensor)
    assert sample.unreadable == {4: 'd/4.png\tthe file is empty'}
    assert set(sample.metainfo_keys()) == {'positive_idx', 'lam', 'table_version', 'unreadable'}


def test_what_was_found_on_the_way_to_a_sample_must_be_told():
    given = results([0.25, 0.3])
    del given['unreadable']
    with pytest.raises(KeyError, match='unreadable'):
        PackPair()(given)


def test_samples_stack_to_a_batch():
    batch = stack_collate([PackPair()(results([0.5, 0.5], sample_idx=i)) for i in range(4)])
    assert [tuple(x.shape) for x in batch['inputs']] == [(4, 3, 32, 32), (4, 3, 24, 24)] * 3
    assert [sample.sample_idx.value.item() for sample in batch['data_samples']] == [0, 1, 2, 3]
    assert [list(sample.unreadable) for sample in batch['data_samples']] == [[], [], [], [4]]
    expected = PackPair()(results([0.5, 0.5], sample_idx=2))['inputs']
    for stacked, one in zip(batch['inputs'], expected, strict=True):
        torch.testing.assert_close(stacked[2], one)


@pytest.mark.parametrize('lam, expected', [([0.2, 0.3, 1.0], [0.2, 0.3, 1.0]), (1.0, [1.0] * 3)])
def test_there_can_be_more_queries_than_keys(lam, expected):
    given = results(lam)
    given['query'].append(np.full((20, 20, 3), 7, np.uint8))
    packed = PackPair()(given)
    assert [x.shape[-1] for x in packed['inputs']] == [32, 24, 20, 32, 24, 32, 24]
    assert packed['data_samples'].lam == expected
    np.testing.assert_array_equal(packed['inputs'][3].numpy(), given['anchor_key'][0].transpose(2, 0, 1))
