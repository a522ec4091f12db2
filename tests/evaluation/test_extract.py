"""Which process extracts what, and that the rows arrive once and in order, in one process and in several."""

import os
import resource
from functools import partial

import numpy as np
import pytest
import torch
from gloo import CONTEXT, on_processes
from measured_memory import peak_bytes_of
from PIL import Image
from torch import nn

from clim_mm.datasets import ImageFolder, SingleViews
from clim_mm.distributed.gather_by_id import gathering_bytes
from clim_mm.evaluation.extract import extract_features, sharded_batches

PIPELINE = [
    dict(type='clim_mm.LoadImage'),
    dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
]


def views_of(folder):
    return SingleViews(ImageFolder(str(folder)), PIPELINE)


def encode(net, batch):
    """Features by a convolution, which may round differently in a batch of another size."""
    with torch.no_grad():
        x = torch.stack(list(batch['inputs'][0])).float() / 255
        return net(x).mean(dim=(2, 3))


def extract(folder, batch_size):
    """What a process gets from ``extract_features``, and the ids that it was given."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 16, 7, stride=2), nn.ReLU(), nn.Conv2d(16, 5, 3))
    given = []

    def counted(batch):
        given.append(batch['sample_idx'].tolist())
        return encode(net, batch)

    return extract_features(counted, views_of(folder), batch_size, num_workers=0, progress=False), given


@pytest.mark.parametrize('world_size', [1, 2, 3, 4, 5])
@pytest.mark.parametrize('batch_size', [1, 3, 4, 64])
@pytest.mark.parametrize('num_samples', [1, 2, 7, 12, 24, 61])
def test_every_id_once_in_batches_that_do_not_depend_on_the_processes(num_samples, batch_size, world_size):
    batches = [[list(batch) for batch in sharded_batches(num_samples, batch_size, rank, world_size)]
               for rank in range(world_size)]
    assert max(map(len, batches)) - min(map(len, batches)) <= 1, 'dealt out evenly'

    together = sorted(batch for own in batches for batch in own)
    ids = list(range(num_samples))
    assert together == [ids[start:start + batch_size] for start in range(0, num_samples, batch_size)]
    for rank, own in enumerate(batches):
        assert own == together[rank::world_size], 'in turn'


def test_batches_of_some_ids():
    ids = np.array([1, 4, 5, 8, 9, 11, 30])
    shares = [sharded_batches(7, 2, rank, 3, ids) for rank in range(3)]
    assert shares == [[[1, 4], [30]], [[5, 8]], [[9, 11]]]


def test_one_process_gives_each_image_its_row(class_folder):
    views = views_of(class_folder)

    def mean_color(batch):
        return torch.stack(list(batch['inputs'][0])).double().mean(dim=(2, 3))

    expected = np.stack([views[i]['inputs'][0].numpy().mean(axis=(1, 2)) for i in range(12)])
    for batch_size, num_workers in [(5, 0), (12, 0), (64, 0), (4, 2)]:
        found = extract_features(mean_color, views, batch_size, num_workers, progress=False)
        assert found.shape == (12, 3) and found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert len(np.unique(expected[:, 0])) == 12, 'no two images are alike'


def test_features_are_taken_in_inference_mode(class_folder):
    modes = []

    def encode_and_note(batch):
        modes.append(torch.is_inference_mode_enabled())
        return torch.ones(len(batch['inputs'][0]), 2)

    extract_features(encode_and_note, views_of(class_folder), 5, num_workers=0, progress=False)
    assert modes == [True] * 3 and not torch.is_inference_mode_enabled()


def test_half_precision_becomes_float32(class_folder):
    found = extract_features(lambda batch: torch.full((len(batch['inputs'][0]), 2), 0.5, dtype=torch.bfloat16),
                             views_of(class_folder), num_workers=0)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.full((12, 2), 0.5))


@pytest.mark.e2e
@pytest.mark.parametrize('world_size, batch_size, batches', [
    (2, 5, [2, 1]),
    (2, 12, [1, 0]),
    (3, 2, [2, 2, 2]),
    (3, 8, [1, 1, 0]),
])
@pytest.mark.usefixtures('one_torch_thread')
def test_several_processes_give_exactly_what_one_gives(class_folder, world_size, batch_size, batches):
    expected, all_ids = extract(class_folder, batch_size)
    results = on_processes(world_size, extract, class_folder, batch_size)
    assert [len(ids) for _, ids in results] == batches
    assert sorted(ids for _, own in results for ids in own) == all_ids
    first, *others = [features for features, _ in results]
    assert first.dtype == np.float32 and first.shape == (12, 5)
    np.testing.assert_array_equal(first, expected)
    assert others == [None] * (world_size - 1)


def extract_some(folder, ids):
    """What a process gets of some images, and the ids that it was given."""
    given = []

    def mean_color(batch):
        given.extend(batch['sample_idx'].tolist())
        return torch.stack(list(batch['inputs'][0])).double().mean(dim=(2, 3))

    found = extract_features(mean_color, views_of(folder), 2, num_workers=0, progress=False, ids=np.array(ids))
    return found, given


@pytest.mark.e2e
@pytest.mark.usefixtures('one_torch_thread')
def test_some_images_are_extracted_alone_and_keep_their_rows(class_folder):
    views, ids = views_of(class_folder), [1, 4, 5, 8, 10]
    expected = np.full((12, 3), np.nan)
    expected[ids] = [views[i]['inputs'][0].numpy().mean(axis=(1, 2)) for i in ids]
    found, given = extract_some(class_folder, ids)
    assert given == ids
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    (first, of_first), (second, of_second) = on_processes(2, extract_some, class_folder, ids)
    assert (of_first, of_second, second) == ([1, 4, 10], [5, 8], None)
    np.testing.assert_array_equal(first, found)


def extract_with_few_descriptors(folder):
    """Run in a child: batches of more images than it may open further files."""
    limit = len(os.listdir('/proc/self/fd')) + 60
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    views = views_of(folder)
    ids = np.arange(len(views))
    found = extract_features(
        lambda batch: batch['sample_idx'][:, None].float(), views, len(views), num_workers=1, progress=False)
    os._exit(int(not np.array_equal(found[:, 0], ids)))


@pytest.mark.e2e
def test_a_batch_needs_no_file_descriptor_for_each_image(tmp_path):
    for number in range(100):
        Image.new('RGB', (8, 8), (number, 0, 0)).save(tmp_path / f'{number:03}.png')
    process = CONTEXT.Process(target=extract_with_few_descriptors, args=(tmp_path, ))
    process.start()
    process.join(timeout=60)
    status = process.exitcode
    process.kill()
    assert status == 0, 'None: it waits for a worker that cannot answer'


def test_a_partial_is_as_good_as_a_function(class_folder):
    net = nn.Conv2d(3, 4, 3)
    found = extract_features(partial(encode, net), views_of(class_folder), num_workers=0)
    assert found.shape == (12, 4)


def peak_of_extraction(folder, dim):
    """Bytes that a process takes for features of ``dim`` numbers, most of them beside the images' own."""
    def run(dim):
        extract_features(lambda batch: torch.ones(len(batch['inputs'][0]), dim), views_of(folder), 1, num_workers=0,
                         progress=False)

    run(1)
    return peak_bytes_of(lambda: run(dim))


@pytest.mark.e2e
@pytest.mark.parametrize('processes', [1, 2])
def test_the_memory_that_it_takes_is_what_gathering_tells(class_folder, processes):
    """No copy more, such as of each batch's rows or of all rows joined, and none less."""
    dim = 2**20
    for rank, found in enumerate(on_processes(processes, peak_of_extraction, class_folder, dim)):
        if found is None:
            pytest.skip('this system does not tell the memory that is taken')
        # Beside them, there are one batch and which of its numbers are finite.
        told, batch = gathering_bytes(12, dim, processes, main=rank == 0), 4 * dim
        assert told <= found + 0.5 * batch and found <= told + 2.5 * batch
