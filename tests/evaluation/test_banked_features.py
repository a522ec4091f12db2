"""Features from the bank: which images are extracted, what the rows are, and what the report says."""

import logging
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from gloo import on_processes
from measured_memory import peak_bytes_of
from mmengine import dist

from clim_mm.datasets import Quarantine
from clim_mm.errors import CheckpointError
from clim_mm.evaluation.extract import banked_features, open_bank
from clim_mm.neighbors.key_bank import KeyBank

N = 6
EXTRACTED = np.eye(8, dtype=np.float32)[:N, :4] * 9  # rows 4 and 5 are zeros, which no key is
LOGGER = logging.getLogger(__name__)


def bank_of(folder, epochs):
    """A bank of N x 4 in which the key of image i is of that epoch, and its entry i % 4 is 1."""
    bank = KeyBank.create(folder, N, 4)
    for i, epoch in epochs.items():
        bank.epoch = epoch
        bank.add(torch.eye(4)[i % 4][None], torch.tensor([i]))
    return bank


class Extraction:
    """Gives the rows of EXTRACTED that are wanted, NaN for the others and for what it finds unreadable."""

    def __init__(self, quarantine, unreadable=()):
        self.quarantine, self.unreadable, self.calls = quarantine, unreadable, []

    def __call__(self, ids):  # noqa: D102
        self.calls.append(None if ids is None else ids.tolist())
        self.quarantine.add(dict.fromkeys(self.unreadable, 'bad\tempty'))
        if not dist.is_main_process():
            return None
        features = np.full((N, 4), np.nan, np.float32)
        wanted = [i for i in (range(N) if ids is None else ids) if not self.quarantine.holds(i)]
        features[wanted] = EXTRACTED[wanted]
        return features


def features_of(folder, epochs, epoch, held=(), unreadable=()):
    quarantine = Quarantine(N, 0.9)
    quarantine.add(dict.fromkeys(held, 'bad\tempty'))
    extract = Extraction(quarantine, unreadable)
    bank = bank_of(folder, epochs) if dist.is_main_process() else None
    features, report = banked_features(bank, epoch, quarantine, extract, LOGGER)
    return features, report, extract.calls


def key(i):
    return np.eye(4)[i % 4]


def test_without_any_key_all_is_extracted_as_ever(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        features, report, calls = features_of(tmp_path, {}, 0, held=[3])
    assert calls == [None], 'in the batches of an extraction of all'
    np.testing.assert_array_equal(features, np.where(np.arange(N)[:, None] == 3, np.nan, EXTRACTED))
    assert report['bank_never_seen'] == 1 and math.isnan(report['bank_age'])
    assert caplog.messages == ['The key bank has no key of 5 of 5 readable images, since no step has trained on them '
                               'yet: their features are extracted.']


def peak_of_banked_features(folder, dim):
    """Bytes that it takes besides the features that were extracted, here of all N images."""
    extracted = np.ones((N, dim), np.float32)

    def run(name, dim):
        bank = KeyBank.create(folder / name, N, dim)
        banked_features(bank, 0, Quarantine(N, 0.9), lambda ids: extracted[:, :dim], LOGGER)

    run('small', 1)
    return peak_bytes_of(lambda: run('large', dim))


@pytest.mark.e2e
def test_beside_what_was_extracted_there_is_one_copy_of_the_features(tmp_path):
    """And the bank's own pages, which are files' and give way."""
    dim = 2**20
    found, = on_processes(1, peak_of_banked_features, tmp_path, dim)
    if found is None:
        pytest.skip('this system does not tell the memory that is taken')
    features = 4 * N * dim
    assert 1.8 * features < found < 2.5 * features


def test_with_all_keys_nothing_is_extracted(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        features, report, calls = features_of(tmp_path, {0: 1, 1: 4, 2: 4, 3: 4, 4: 4, 5: 4}, 5)
    assert calls == [] and caplog.messages == []
    np.testing.assert_array_equal(features, [key(i) for i in range(N)])
    assert (report['bank_never_seen'], report['bank_age']) == (0, (4 + 5 * 1) / 6)
    assert report['seconds_bank'] > 0


def test_images_without_a_key_are_extracted_alone(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        features, report, calls = features_of(tmp_path, {0: 2, 2: 4, 4: 4, 5: 3}, 5)
    assert calls == [[1, 3]]
    np.testing.assert_array_equal(features, [key(0), EXTRACTED[1], key(2), EXTRACTED[3], key(4), key(5)])
    assert (report['bank_never_seen'], report['bank_age']) == (2 / 6, (3 + 1 + 1 + 2) / 4)
    assert 'no key of 2 of 6 readable images' in caplog.text


def test_unreadable_images_have_no_features_and_are_not_extracted(tmp_path):
    # Of the two that are known, 0 has a key of better days; 3 is found out by the extraction.
    features, report, calls = features_of(tmp_path, {0: 2, 2: 4, 4: 2}, 5, held=[0, 1], unreadable=[3])
    assert calls == [[3, 5]]
    nan = [np.nan] * 4
    np.testing.assert_array_equal(features, [nan, nan, key(2), nan, key(4), EXTRACTED[5]])
    assert (report['bank_never_seen'], report['bank_age']) == (2 / 4, (1 + 3) / 2)
    features, _, calls = features_of(tmp_path, {0: 2, 2: 4}, 5, held=[0, 1, 3, 4, 5])
    assert calls == [] and np.isnan(features).all(axis=1).tolist() == [True, True, False, True, True, True]


@pytest.mark.parametrize('epochs, calls', [({0: 2, 2: 4, 4: 4, 5: 3}, [[1, 3]]), ({}, [None]),
                                           (dict.fromkeys(range(N), 4), [])])
@pytest.mark.parametrize('processes', [2, 3])
@pytest.mark.e2e
def test_several_processes_extract_the_same_images(tmp_path, epochs, calls, processes):
    expected, report, _ = features_of(tmp_path / 'one', epochs, 5)
    (features, of_first, first), *others = on_processes(processes, features_of, tmp_path / 'several', epochs, 5)
    assert first == calls and others == [(None, {}, calls)] * (processes - 1)
    np.testing.assert_array_equal(features, expected)
    assert of_first['bank_never_seen'] == report['bank_never_seen']


def runner_of(folder, epoch):
    return SimpleNamespace(work_dir=str(folder), epoch=epoch, logger=LOGGER)


def test_a_fresh_run_begins_an_empty_bank(tmp_path):
    bank_of(tmp_path / 'key_bank', {0: 2}).sync()
    assert open_bank(runner_of(tmp_path, 0), N, 4).never_seen().all()


def test_a_resumed_run_takes_up_its_own_bank(tmp_path, caplog):
    own = bank_of(tmp_path / 'key_bank', {0: 2, 1: 3, 2: 4})
    own.sync()
    bank = open_bank(runner_of(tmp_path, 3), N, 4, own.identity)
    assert bank.epochs.tolist() == [2, 3, -1, -1, -1, -1], 'the epoch that was broken off stays, a later one does not'
    assert not caplog.messages
    bank = open_bank(runner_of(tmp_path, 3), N, 4, 'of another run')
    assert bank.never_seen().all() and bank.identity != own.identity
    assert 'The key bank of the checkpoint is not in' in caplog.text
    assert open_bank(runner_of(tmp_path / 'elsewhere', 3), N, 4, own.identity).never_seen().all()


def opening(folder, identity):
    """What a process is told."""
    with pytest.raises(CheckpointError) as caught:
        open_bank(runner_of(folder, 3), N + 1, 4, identity)
    return str(caught.value)


@pytest.mark.e2e
def test_a_bank_of_another_size_stops_every_process(tmp_path):
    own = bank_of(tmp_path / 'key_bank', {0: 2})
    first, second = on_processes(2, opening, tmp_path, own.identity)
    assert first == second and '6 x 4 keys, but this training has 7 x' in first


def held_by(folder):
    bank = open_bank(runner_of(folder, 0), N, 4)
    return None if bank is None else len(bank.epochs)


@pytest.mark.e2e
def test_the_first_process_alone_holds_the_bank(tmp_path):
    assert on_processes(3, held_by, tmp_path) == [N, None, None]
