"""The queue of keys by itself, and which image a key is of."""

import pytest
import torch
from mmselfsup.datasets.transforms import PackSelfSupInputs
from mmselfsup.structures import SelfSupDataSample
from tiny_clim import samples

from clim_mm.datasets.transforms import PackPair
from clim_mm.models.parts.key_queue import NO_ID, NO_KEY, KeyQueue, image_ids


def test_ids_are_those_of_the_samples():
    anchors, positives = image_ids(samples([[0.5]] * 3, ids=[7, 0, 524_288], positives=[3, -1, 2]), torch.device('cpu'))
    assert anchors.tolist() == [7, 0, 524_288] and positives.tolist() == [3, -1, 2]
    assert anchors.dtype == positives.dtype == torch.int64


def test_samples_as_the_pipeline_packs_them():
    view = torch.zeros(4, 4, 3, dtype=torch.uint8).numpy()
    packed = PackPair()(
        dict(views=dict(query=[view], anchor_key=[view], positive_key=[view]), sample_idx=5, positive_idx=9, lam=[0.3],
             table_version=1))
    assert [ids.tolist() for ids in image_ids([packed['data_samples']], torch.device('cpu'))] == [[5], [9]]


def test_ids_that_mmselfsup_has_packed_are_tensors():
    packed = PackSelfSupInputs(algorithm_keys=['sample_idx'])(dict(img=torch.zeros(4, 4, 3).numpy(), sample_idx=5))
    assert image_ids([packed['data_samples']], torch.device('cpu'))[0].tolist() == [5]


def test_the_device_is_asked_nothing():
    """On the meta device there are no values: whoever asks for one fails."""
    meta = torch.device('meta')
    moved = [sample.to(meta) for sample in [*samples([[0.5]] * 2, ids=[7, 0], positives=[3, -1]), SelfSupDataSample()]]
    anchors, positives = image_ids(moved, meta)
    assert anchors.shape == positives.shape == (3, ) and anchors.device == positives.device == meta


def test_images_without_an_id():
    assert NO_ID < 0 and NO_KEY < 0 and NO_ID != NO_KEY
    anchors, positives = image_ids([SelfSupDataSample(), *samples([[1.0]], ids=[4])], torch.device('cpu'))
    assert anchors.tolist() == [NO_ID, 4] and positives.tolist() == [NO_ID, NO_ID]


def queue_of(ids):
    queue = KeyQueue(4, len(ids))
    queue.ids.copy_(torch.tensor(ids))
    return queue


def test_own_keys_by_hand():
    own = queue_of([3, NO_KEY, 7, 3, NO_ID, 0]).own(torch.tensor([3, 0, 9]), torch.tensor([7, -1, 3]))
    assert own.dtype == torch.bool
    assert own.int().tolist() == [[1, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 1], [1, 0, 0, 1, 0, 0]]


@pytest.mark.parametrize('nothing', [NO_ID, NO_KEY])
def test_what_has_no_id_is_nobodys_own(nothing):
    own = queue_of([NO_KEY, NO_ID, 5]).own(torch.tensor([nothing, 5]), torch.tensor([nothing, nothing]))
    assert own.int().tolist() == [[0, 0, 0], [0, 0, 1]]


def test_fill_is_the_share_that_holds_keys():
    assert queue_of([3, NO_KEY, NO_ID, NO_KEY]).fill == 0.5


def test_forgotten_ids_are_none():
    queue = queue_of([3, NO_KEY, 0])
    queue.forget_ids()
    assert queue.ids.tolist() == [NO_ID, NO_KEY, NO_ID]


def test_a_queue_without_a_length_is_a_module_all_the_same():
    assert KeyQueue(4) and len(KeyQueue(4)) == 0
