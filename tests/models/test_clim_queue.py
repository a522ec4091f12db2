"""The queue of CLIM: what enters it when, its length, and its way through checkpoints."""

import copy

import numpy as np
import pytest
import torch
from gloo import on_processes
from mmengine import dist
from mmengine.runner import load_checkpoint
from mmselfsup.models.algorithms import MoCo
from tiny_clim import MOCO_HEAD, build, images, named, nce, samples, separated

from clim_mm.errors import ConfigError
from clim_mm.models.parts.key_queue import NO_ID, NO_KEY

pytestmark = pytest.mark.usefixtures('one_torch_thread')


@pytest.mark.parametrize('sizes', [(32, ), (32, 24), (24, 32, 16)])
@pytest.mark.parametrize('num_views', [2, 3])
def test_the_anchors_keys_at_the_largest_resolution_enter_the_queue(sizes, num_views):
    model = separated()
    views = images(num_views, sizes=sizes, dtype=torch.float64)
    before = model.queue.keys.clone()
    model.loss(named(views), samples([[0.5] * len(sizes)] * 8))
    x_anchor = views[len(sizes) + sizes.index(32)]
    assert x_anchor.shape[-1] == 32
    keys = model.encoder('momentum')(x_anchor)['last']
    torch.testing.assert_close(model.queue.keys[:, :8], keys.T, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.queue.keys[:, 8:], before[:, 8:], rtol=0, atol=0)
    assert model.queue.pointer.tolist() == [8]


@pytest.mark.parametrize('queue_len, batch_size', [(10, 4), (9, 4), (8, 8), (11, 8), (7, 7), (5, 1)])
def test_the_queue_wraps_around(queue_len, batch_size):
    model = separated(queue_len=queue_len, norm='GN')
    expected, ids, place = model.queue.keys.clone(), [NO_KEY] * queue_len, 0
    for step in range(6):
        views = images(3, num_samples=batch_size, seed=step, dtype=torch.float64)
        of_step = [100 * step + i for i in range(batch_size)]
        model.loss(named(views), samples([[0.5]] * batch_size, ids=of_step, positives=[7] * batch_size))
        keys = model.encoder('momentum')(views[1])['last']
        for i, key in zip(of_step, keys, strict=True):
            expected[:, place], ids[place] = key, i
            place = (place + 1) % queue_len
        torch.testing.assert_close(model.queue.keys, expected, rtol=1e-10, atol=1e-10)
        assert model.queue.ids.tolist() == ids
        assert model.queue.pointer.tolist() == [place]


def test_keys_without_ids_are_known_as_such():
    model = build(queue_len=10)
    model.loss(named(images(2)), samples([None] * 8))
    assert model.queue.ids.tolist() == [NO_ID] * 8 + [NO_KEY] * 2


@pytest.mark.parametrize('sizes', [(32, ), (24, 32)])
def test_the_positives_keys_can_follow_the_anchors(sizes):
    model = separated(queue_len=20, norm='GN', enqueue_positives=True)
    before = model.queue.keys.clone()
    views = images(3, num_samples=4, sizes=sizes, dtype=torch.float64)
    # 7 and 5 are positives, an anchor without one is its own, and of the last nothing is known.
    data_samples = samples([[0.5] * len(sizes)] * 4, ids=[10, 11, 12, 13], positives=[7, -1, 5, NO_ID])
    model.loss(named(views), data_samples)
    anchors, positives = (
        model.encoder('momentum')(views[part * len(sizes) + sizes.index(32)])['last'] for part in (1, 2))
    torch.testing.assert_close(model.queue.keys[:, :8], torch.cat([anchors, positives]).T, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.queue.keys[:, 8:], before[:, 8:], rtol=0, atol=0)
    assert model.queue.ids.tolist() == [10, 11, 12, 13, 7, 11, 5, NO_ID] + [NO_KEY] * 12
    assert model.queue.pointer.tolist() == [8] and model.keys_per_sample == 2

    model.advance_after_loss = False  # two batches to a step: all four parts wait
    for _ in range(2):
        model.loss(named(views), data_samples)
    assert model.queue.pointer.tolist() == [8] and model.encoder_k.steps == 3
    model.advance()
    assert model.queue.pointer.tolist() == [4]
    anchor_ids, positive_ids = [10, 11, 12, 13], [7, 11, 5, NO_ID]
    assert model.queue.ids.tolist() == 2 * positive_ids + anchor_ids + positive_ids + anchor_ids  # wrapped around


def test_without_positive_views_there_are_only_anchors_keys():
    model = separated(queue_len=20, enqueue_positives=True)
    model.loss(named(images(2, dtype=torch.float64)), samples([None] * 8, ids=range(8)))
    assert model.queue.ids.tolist() == [*range(8)] + [NO_KEY] * 12
    assert separated().keys_per_sample == 1


def test_keys_wait_for_the_end_of_the_optimizer_step():
    model = separated(queue_len=20, norm='GN')
    model.advance_after_loss = False
    before = copy.deepcopy(model.state_dict())
    momentum_after = {
        name: 0.9 * before[f'encoder_k.module.{name}'] + 0.1 * value
        for name, value in model.encoder('query').named_parameters()
    }
    keys = []
    for part in range(3):
        views = images(3, num_samples=4, seed=part, dtype=torch.float64)
        model.loss(named(views), samples([[0.5]] * 4, ids=range(10 * part, 10 * part + 4)))
        keys.append(model.encoder('momentum')(views[1])['last'])
        for name in ('queue.keys', 'queue.ids', 'queue.pointer'):
            assert torch.equal(model.state_dict()[name], before[name])
        for name, value in model.encoder('momentum').named_parameters():  # it moves with the first of them
            torch.testing.assert_close(value, momentum_after[name], rtol=1e-12, atol=1e-12)
        with torch.no_grad():  # what the optimizer would not do here, to show that it is not followed
            model.neck.mlp[0].weight.add_(1)
    model.advance()
    torch.testing.assert_close(model.queue.keys[:, :12], torch.cat(keys).T, rtol=1e-10, atol=1e-10)
    assert model.queue.ids.tolist() == [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23] + [NO_KEY] * 8
    assert model.queue.pointer.tolist() == [12] and model.encoder_k.steps == 2
    model.advance()  # nothing waits
    assert model.queue.pointer.tolist() == [12]
    model.loss(named(images(3, num_samples=4, dtype=torch.float64)), samples([[0.5]] * 4))
    assert model.encoder_k.steps == 3, 'the next step moves it again'


def test_another_processs_keys_enter_behind_the_own(monkeypatch):
    monkeypatch.setattr('clim_mm.models.parts.key_queue.concat_all_gather', lambda x: torch.cat([x, x + 10]))
    model = separated(norm='GN')
    views = images(2, num_samples=4, dtype=torch.float64)
    model.loss(named(views), samples([None] * 4, ids=range(4)))
    keys = model.encoder('momentum')(views[1])['last']
    assert model.queue.ids.tolist()[:9] == [0, 1, 2, 3, 10, 11, 12, 13, NO_KEY]
    torch.testing.assert_close(model.queue.keys[:, :8], torch.cat([keys, keys + 10]).T, rtol=1e-10, atol=1e-10)


def queue_of_two_processes():
    """What the queue of each process holds after three steps, each process with images of its own."""
    rank = dist.get_rank()
    model = separated(queue_len=20, norm='GN')
    keys = []
    for step in range(3):
        views = images(2, num_samples=4, seed=10 * step + rank, dtype=torch.float64)
        model.loss(named(views), samples([None] * 4, ids=[100 * step + 10 * rank + i for i in range(4)]))
        keys.append(model.encoder('momentum')(views[1])['last'].detach().numpy())
    return [x.numpy() for x in (model.queue.keys, model.queue.ids, model.queue.pointer)], keys


@pytest.mark.e2e
def test_the_keys_of_all_processes_enter_the_queue_of_each():
    (first, keys_0), (second, keys_1) = on_processes(2, queue_of_two_processes)
    for mine, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(mine, other)
    queue, ids, place = first
    wrapped = [210, 211, 212, 213]  # of the last 8 keys, the second process's 4 have begun again
    assert ids.tolist() == [*wrapped, *range(10, 14), *range(100, 104), *range(110, 114), *range(200, 204)]
    assert place.tolist() == [4]
    expected = [keys_1[2], keys_1[0], keys_0[1], keys_1[1], keys_0[2]]
    np.testing.assert_allclose(queue, np.concatenate(expected).T, rtol=1e-10, atol=1e-10)


def queue_of_two_processes_with_positives():
    """What the queue of each process holds after a step with positives' keys, and the keys of this process."""
    rank = dist.get_rank()
    model = separated(queue_len=10, norm='GN', enqueue_positives=True)
    views = images(3, num_samples=2, seed=rank, dtype=torch.float64)
    model.loss(named(views), samples([[0.5]] * 2, ids=[10 * rank, 10 * rank + 1], positives=[10 * rank + 5, -1]))
    keys = [model.encoder('momentum')(x)['last'].detach().numpy() for x in views[1:]]
    return [x.numpy() for x in (model.queue.keys, model.queue.ids, model.queue.pointer)], np.concatenate(keys)


@pytest.mark.e2e
def test_the_positives_keys_of_all_processes_enter_the_queue_of_each():
    (first, keys_0), (second, keys_1) = on_processes(2, queue_of_two_processes_with_positives)
    for mine, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(mine, other)
    queue, ids, place = first
    assert ids.tolist() == [0, 1, 5, 1, 10, 11, 15, 11] + [NO_KEY] * 2 and place.tolist() == [8]
    np.testing.assert_allclose(queue[:, :8], np.concatenate([keys_0, keys_1]).T, rtol=1e-10, atol=1e-10)


def test_listeners_are_told_what_enters_the_queue():
    model, heard = separated(queue_len=20, norm='GN', enqueue_positives=True), []
    model.queue.listeners.append(lambda keys, ids: heard.append((keys, ids.tolist())))
    model.advance_after_loss = False
    for step in range(2):
        views = images(3, num_samples=2, seed=step, dtype=torch.float64)
        model.loss(named(views), samples([[0.5]] * 2, ids=[10 * step, 10 * step + 1], positives=[5, -1]))
    assert heard == [], 'they wait with the queue'
    model.advance()
    (keys, ids), = heard
    assert ids == model.queue.ids[:8].tolist() == [0, 1, 5, 1, 10, 11, 5, 11]
    assert torch.equal(keys, model.queue.keys[:, :8].T)


def test_a_copy_of_a_model_has_no_listeners():
    model, heard = separated(norm='GN'), []
    model.queue.listeners.append(lambda keys, ids: heard.append(len(keys)))
    other = copy.deepcopy(model)
    assert other.queue.listeners == []
    other.loss(named(images(2, dtype=torch.float64)), samples([None] * 8))
    assert heard == [] and other.queue.pointer == 8
    model.loss(named(images(2, dtype=torch.float64)), samples([None] * 8))
    assert heard == [8]
    assert torch.equal(model.queue.keys[:, :8], other.queue.keys[:, :8]), 'but for that it is the same model'


def heard_of_two_processes():
    """What a listener of each process hears, and the queue's first keys."""
    rank = dist.get_rank()
    model, heard = separated(norm='GN'), []
    model.queue.listeners.append(lambda keys, ids: heard.append((keys.numpy(), ids.tolist())))
    model.loss(named(images(2, num_samples=4, seed=rank, dtype=torch.float64)),
               samples([None] * 4, ids=[10 * rank + i for i in range(4)]))
    return heard, model.queue.keys[:, :8].T.numpy()


@pytest.mark.e2e
def test_the_listeners_of_each_process_hear_of_all_keys():
    for ((keys, ids), ), entered in on_processes(2, heard_of_two_processes):
        assert ids == [0, 1, 2, 3, 10, 11, 12, 13]
        np.testing.assert_array_equal(keys, entered)


def test_a_key_is_no_negative_of_its_own_step():
    # A queue of one step's keys, all of which are replaced: the loss must still be against the old ones.
    model = separated(queue_len=8)
    views = images(2, dtype=torch.float64)
    old = model.queue.keys.clone()
    loss = model.loss(named(views), samples([None] * 8))['loss']
    q = model.encoder('query')(views[0])['last']
    k = model.encoder('momentum')(views[1])['last']
    torch.testing.assert_close(loss, nce(q, k, old).mean(), rtol=1e-10, atol=1e-10)
    assert abs(loss - nce(q, k, model.queue.keys).mean()) > 1e-3
    loss.backward()


def test_more_keys_than_the_queue_holds_are_an_error():
    with pytest.raises(ConfigError, match='queue_len=7 is too short for the 8 keys .* at least 8'):
        build(queue_len=7).loss(named(images(3)), samples([[0.5]] * 8))


def test_more_waiting_keys_than_the_queue_holds_are_an_error():
    model = build(queue_len=15)
    model.advance_after_loss = False
    for _ in range(2):
        model.loss(named(images(3)), samples([[0.5]] * 8))
    with pytest.raises(ConfigError, match='queue_len=15 is too short for the 16 keys .* at least 16'):
        model.advance()
    assert (model.queue.ids == NO_KEY).all() and model.queue.pointer == 0


def test_a_queue_without_a_length_is_refused():
    model = build(queue_len=None)
    assert len(model.queue) == 0 and model.queue.keys.shape == (16, 0) and model.queue.ids.shape == (0, )
    with pytest.raises(ConfigError, match='model.queue_len=0 is too short for the 8 keys .* set it to at least 8'):
        model.loss(named(images(3)), samples([[0.5]] * 8))


def test_a_queue_gets_another_length():
    model = build(queue_len=10)
    model.loss(named(images(2)), samples([None] * 8, ids=range(8)))
    model.queue.resize(37, torch.Generator().manual_seed(4))
    vectors = torch.randn(16, 37, generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(model.queue.keys, vectors / vectors.norm(dim=0), rtol=1e-6, atol=1e-7)
    assert len(model.queue) == 37 and model.queue.pointer.tolist() == [0]
    assert model.queue.ids.tolist() == [NO_KEY] * 37 and model.queue.ids.dtype == torch.int64
    assert {'queue.keys', 'queue.ids', 'queue.pointer'} <= set(dict(model.named_buffers()))
    for _ in range(5):
        model.loss(named(images(2)), samples([None] * 8, ids=range(8)))
    assert model.queue.pointer.tolist() == [3]
    assert build(queue_len=None).double().queue.keys.dtype == torch.float64


def load_by_torch(model, state, folder):
    model.load_state_dict(state)


def load_by_the_framework(model, state, folder):
    torch.save(dict(state_dict=state), folder / 'model.pth')
    load_checkpoint(model, str(folder / 'model.pth'), strict=True)


@pytest.mark.parametrize('load', [load_by_torch, load_by_the_framework])
@pytest.mark.parametrize('queue_len', [None, 13])
def test_the_queue_comes_back_with_a_checkpoint(tmp_path, load, queue_len):
    saved = build(queue_len=13)
    for step in range(2):
        saved.loss(named(images(2, seed=step)), samples([None] * 8, ids=range(8 * step, 8 * step + 8)))
    model = build(queue_len=queue_len, seed=1)
    state = saved.state_dict()
    load(model, state, tmp_path)
    assert list(state) == list(saved.state_dict()), 'the checkpoint is left as it was'
    assert len(model.queue) == 13
    assert torch.equal(model.queue.keys, saved.queue.keys)
    assert model.queue.ids.tolist() == [13, 14, 15, *range(3, 13)] and model.queue.pointer.tolist() == [3]
    losses = []
    for one in (model, saved):
        torch.manual_seed(0)  # of the shuffle
        losses.append(one.loss(named(images(2, seed=5)), samples([None] * 8))['loss'].item())
    assert losses[0] == losses[1]


@pytest.mark.parametrize('load', [load_by_torch, load_by_the_framework])
def test_weights_without_a_queue_leave_it_alone(tmp_path, load):
    model = build(queue_len=None)
    backbone = {name: value + 1 for name, value in model.state_dict().items() if name.startswith('backbone.conv1')}
    if load is load_by_torch:
        model.load_state_dict(backbone, strict=False)
    else:
        torch.save(backbone, tmp_path / 'backbone.pth')
        load_checkpoint(model, str(tmp_path / 'backbone.pth'))
    assert len(model.queue) == 0
    assert torch.equal(model.backbone.conv1.weight, backbone['backbone.conv1.weight'])


@pytest.mark.parametrize('queue_len', [24, None])
def test_the_state_of_moco_can_be_loaded(queue_len):
    moco, clim = build(MoCo, MOCO_HEAD), build(seed=1, queue_len=queue_len)
    assert set(clim.state_dict()) - set(moco.state_dict()) == {'queue.keys', 'queue.ids', 'queue.pointer'}
    clim.load_state_dict(moco.state_dict())
    assert clim.queue.ids.tolist() == [NO_ID] * 24  # keys of images that are not known
    assert torch.equal(clim.queue.keys, moco.queue) and torch.equal(clim.queue.pointer, moco.queue_ptr)


@pytest.mark.parametrize('load', [load_by_torch, load_by_the_framework])
@pytest.mark.parametrize('queue_len', [None, 13])
def test_a_state_of_version_0_1_can_be_loaded(tmp_path, load, queue_len):
    saved, model = build(queue_len=13), build(queue_len=queue_len, seed=1)
    saved.loss(named(images(2)), samples([None] * 8, ids=range(8)))
    former = {'queue.keys': 'queue', 'queue.ids': 'queue_ids', 'queue.pointer': 'queue_ptr'}
    load(model, {former.get(name, name): value for name, value in saved.state_dict().items()}, tmp_path)
    for name, value in saved.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
