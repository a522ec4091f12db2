"""Features where images cannot be read, or are no numbers: every other image keeps its own row."""

import shutil

import numpy as np
import pytest
import torch
from colored_images import cut_off, damage, empty, make_text, write_colored
from colored_runs import colored_runner
from gloo import on_processes
from mmengine.hooks import Hook
from torch import nn
from training_runs import hook_cfg, lines_of

from clim_mm.datasets import ImageFolder, Quarantine, SingleViews
from clim_mm.errors import TrainingError, sentence
from clim_mm.evaluation.extract import extract_features

N = 12
BAD = {0: empty, 5: cut_off, 6: make_text, 7: empty, 8: empty}  # 6 to 8: a batch of three without a readable image
GOOD = [i for i in range(N) if i not in BAD]
PIPELINE = [
    dict(type='clim_mm.LoadImage'),
    dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
]

pytestmark = pytest.mark.usefixtures('one_torch_thread')


@pytest.fixture
def paths(tmp_path):
    """Of twelve images."""
    return write_colored(tmp_path / 'images', N)


def encode(batch):
    """(B, 5) features by a small network that is always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 16, 7, stride=2), nn.ReLU(), nn.Conv2d(16, 5, 3))
    with torch.no_grad():
        return net(torch.stack(list(batch['inputs'][0])).float() / 255).mean(dim=(2, 3))


def extract(folder, batch_size=3, num_workers=0, known=None, encode=encode):
    """Features and the quarantine's entries, as one process has them."""
    quarantine = Quarantine(N, 0.9)
    quarantine.add(known or {})
    views = SingleViews(ImageFolder(str(folder)), PIPELINE, quarantine)
    features = extract_features(encode, views, batch_size, num_workers, progress=False)
    return features, quarantine.entries, quarantine.readable.tolist()


@pytest.mark.parametrize('num_workers', [0, pytest.param(2, marks=pytest.mark.e2e)])
def test_the_rows_of_the_others_are_those_of_a_folder_without_the_bad_ones(paths, tmp_path, num_workers):
    whole = extract(paths[0].parent)[0]
    entries = damage(paths, BAD)
    found, noted, readable = extract(paths[0].parent, num_workers=num_workers)
    assert noted == entries and readable == GOOD
    assert found.shape == (N, 5) and found.dtype == np.float32
    assert np.isnan(found[list(BAD)]).all()

    clean = tmp_path / 'clean'
    clean.mkdir()
    for i in GOOD:
        shutil.copy(paths[i], clean)
    views = SingleViews(ImageFolder(str(clean)), PIPELINE)
    alone = extract_features(encode, views, 3, num_workers=0, progress=False)
    for row, i in enumerate(GOOD):
        np.testing.assert_allclose(found[i], alone[row], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(found[i], whole[i], rtol=1e-5, atol=1e-7)
    distances = np.linalg.norm(alone[:, None] - alone, axis=2) + np.eye(len(GOOD))
    assert distances.min() > 1e-3, 'no row could be mistaken for another'


def test_what_is_known_is_not_read_and_not_given(paths):
    entries = damage(paths, {3: empty})
    known = {5: 'was bad before', 3: 'was bad, too'}
    given = []

    def counted(batch):
        given.extend(batch['sample_idx'].tolist())
        return encode(batch)

    features, noted, readable = extract(paths[0].parent, known=known, encode=counted)
    assert noted == known and noted != entries
    assert sorted(given) == readable == [0, 1, 2, 4, *range(6, N)]
    assert np.isnan(features).all(axis=1).nonzero()[0].tolist() == [3, 5]


@pytest.mark.e2e
@pytest.mark.parametrize('world_size, batch_size', [(2, 3), (3, 8)])
def test_several_processes_give_what_one_gives_and_know_the_same(paths, world_size, batch_size):
    entries = damage(paths, BAD)
    expected = extract(paths[0].parent, batch_size)[0]
    results = on_processes(world_size, extract, paths[0].parent, batch_size)
    for _, noted, readable in results:
        assert noted == entries and readable == GOOD
    np.testing.assert_array_equal(results[0][0], expected)
    assert [features for features, *_ in results[1:]] == [None] * (world_size - 1)


def extract_knowing_some(folder):
    """Let each process know other images before."""
    rank = torch.distributed.get_rank()
    return extract(folder, known={rank: f'known to process {rank}'})


@pytest.mark.e2e
def test_what_one_process_knew_before_all_know_after(paths):
    results = on_processes(2, extract_knowing_some, paths[0].parent)
    for _, noted, readable in results:
        assert noted == {0: 'known to process 0', 1: 'known to process 1'} and readable == list(range(2, N))
    assert np.isnan(results[0][0]).all(axis=1).nonzero()[0].tolist() == [0, 1]


def extract_bad(folder):
    """What ``extract`` gives where nothing can be read."""
    features, noted, readable = extract(folder)
    return None if features is None else features.tolist(), sorted(noted), readable


@pytest.mark.parametrize('world_size', [1, pytest.param(2, marks=pytest.mark.e2e)])
def test_if_nothing_can_be_read_it_is_all_quarantined(paths, world_size):
    damage(paths, {i: empty for i in range(N)})
    results = [extract_bad(paths[0].parent)] if world_size == 1 else on_processes(2, extract_bad, paths[0].parent)
    assert [result[1:] for result in results] == [(list(range(N)), [])] * world_size
    assert results[0][0] == [[]] * N


class Diverged:
    """An encoder whose features of some images are no numbers."""

    def __init__(self, values):
        self.values = values

    def __call__(self, batch):  # noqa: D102
        features = encode(batch)
        for row, sample_idx in enumerate(batch['sample_idx'].tolist()):
            if sample_idx in self.values:
                features[row, 2] = self.values[sample_idx]
        return features


def refusal(folder, values):
    """The error of an extraction, as a sentence."""
    with pytest.raises(TrainingError) as caught:
        extract(folder, encode=Diverged(values))
    return sentence(caught.value)


DIVERGED = {10: float('inf'), 1: -float('inf'), 4: float('nan')}


@pytest.mark.parametrize('values, named', [
    ({7: float('nan')}, '1 images are not finite (samples 7)'),
    (DIVERGED, '3 images are not finite (samples 1, 4, 10)'),
    (dict.fromkeys(range(N), float('nan')), '12 images are not finite (samples 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...)'),
])
def test_features_that_are_no_numbers_are_refused_with_the_ids(paths, values, named):
    assert refusal(paths[0].parent, values) == (
        f'The features of {named}: the weights have diverged, and the table stays as it was. Resume from a checkpoint '
        'with a lower learning rate.')


@pytest.mark.e2e
def test_features_that_are_no_numbers_stop_every_process(paths):
    first, second = on_processes(2, refusal, paths[0].parent, DIVERGED)
    assert first == second == refusal(paths[0].parent, DIVERGED)


class Diverge(Hook):
    """Puts what is no number into the momentum encoder when an epoch has ended."""

    def after_train_epoch(self, runner):  # noqa: D102
        with torch.no_grad():
            next(runner.model.encoder('momentum').parameters()).view(-1)[0] = float('nan')
        self.table = runner.train_dataloader.dataset.table.positives.copy()


def test_the_table_stays_as_it_was(tmp_path):
    write_colored(tmp_path / 'images', 24)
    diverge = Diverge()
    runner = colored_runner(tmp_path / 'images', tmp_path / 'work', 3, hook=hook_cfg(interval=1), more_hooks=[diverge])
    with pytest.raises(TrainingError, match='features of 24 images are not finite .samples 0, 1, 2'):
        runner.train()
    table = runner.train_dataloader.dataset.table
    assert runner.epoch == 1 and table.version == 1 and (table.positives >= 0).any()
    np.testing.assert_array_equal(table.positives, diverge.table)
    assert len(lines_of(tmp_path / 'work')) == 1


def test_bad_images_are_no_diverged_features(paths):
    damage(paths, BAD)
    assert extract(paths[0].parent, encode=Diverged({}))[2] == GOOD
    assert '(samples 4)' in refusal(paths[0].parent, {4: float('nan'), 5: float('nan')})
