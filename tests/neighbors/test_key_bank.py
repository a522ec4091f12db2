"""The bank of keys: what is in it, what counts as never seen, and which files are refused."""

import json
import os
import signal

import numpy as np
import pytest
import torch
from gloo import CONTEXT
from torch.nn.functional import normalize

from clim_mm.errors import CheckpointError, sentence
from clim_mm.neighbors.key_bank import KeyBank, bank_bytes

X, Y, Z = torch.eye(3)


def filled(folder, num_images=6):
    """Image 0 has X and image 4 has Z, of epoch 2; image 2 has Y, of epoch 3; the others have none."""
    bank = KeyBank.create(folder, num_images, 3)
    bank.epoch = 2
    bank.add(torch.stack([X, X, Z]), torch.tensor([0, 2, 4]))
    bank.epoch = 3
    bank.add(Y[None], torch.tensor([2]))
    return bank


def check(bank):
    assert bank.epochs.tolist() == [2, -1, 3, -1, 2, -1]
    assert bank.never_seen().tolist() == [False, True, False, True, False, True]
    features = bank.features()
    np.testing.assert_array_equal(features[[0, 2, 4]], np.stack([X, Y, Z]))
    assert features.dtype == np.float32 and features.shape == (6, 3) and features.flags.c_contiguous


def test_each_image_has_its_last_key_and_the_epoch_of_it(tmp_path):
    bank = filled(tmp_path / 'bank')
    check(bank)


@pytest.mark.parametrize('num_images, dim', [(6, 3), (1000, 16)])
def test_its_size_on_the_disk_is_what_it_tells(tmp_path, num_images, dim):
    KeyBank.create(tmp_path / 'bank', num_images, dim)
    sizes = {file.name: file.stat().st_size for file in (tmp_path / 'bank').iterdir()}
    assert sizes.pop('bank.json') < 200
    assert sum(sizes.values()) == bank_bytes(num_images, dim)


def test_what_is_given_out_is_a_copy(tmp_path):
    bank = filled(tmp_path)
    bank.features()[:] = 7
    bank.epochs[:] = 7
    check(bank)


def test_ids_below_zero_are_passed_over_and_the_later_of_two_counts(tmp_path):
    bank = KeyBank.create(tmp_path, 3, 3)
    bank.add(torch.stack([X, Y, Z, Y, X]), torch.tensor([1, -2, 1, 0, -1]))
    assert bank.never_seen().tolist() == [False, False, True]
    np.testing.assert_array_equal(bank.features()[:2], np.stack([Y, Z]))
    bank.add(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))
    bank.add(X[None], torch.tensor([-1]))
    assert bank.never_seen().tolist() == [False, False, True]


def test_of_many_keys_the_last_of_each_image_counts(tmp_path):
    """Against a loop that writes one row after the other."""
    generator = torch.Generator().manual_seed(0)
    bank, expected = KeyBank.create(tmp_path, 20, 4), np.zeros((20, 4), np.float32)
    for _ in range(70):  # over what is kept waiting twice
        keys = normalize(torch.randn(9, 4, generator=generator), dim=1)
        ids = torch.randint(-1, 20, (9, ), generator=generator)
        bank.add(keys, ids)
        for key, i in zip(keys.numpy(), ids.tolist(), strict=True):
            if i >= 0:
                expected[i] = key
    np.testing.assert_array_equal(bank.features(), expected)


@pytest.mark.parametrize('num_averaged', [2, 3, 10])
def test_the_mean_of_the_last_keys(tmp_path, num_averaged):
    """Against the recurrence for one image, by hand: weights 1, 1/2, ... down to 1 / num_averaged."""
    keys = normalize(torch.randn(6, 3, generator=torch.Generator().manual_seed(1)) + 1, dim=1)
    bank = KeyBank.create(tmp_path, 2, 3, num_averaged)
    expected = np.zeros(3)
    for n, key in enumerate(keys, start=1):
        bank.add(key[None], torch.tensor([1]))
        weight = 1 / min(n, num_averaged)
        expected = (1 - weight) * expected + weight * key.double().numpy()
        np.testing.assert_allclose(bank.features()[1], expected / np.linalg.norm(expected), rtol=1e-5)
    if num_averaged == 10:
        np.testing.assert_allclose(bank.features()[1], normalize(keys.mean(dim=0), dim=0), rtol=1e-5)
    bank.sync()
    again = KeyBank.open(tmp_path, 2, 3, num_averaged)
    np.testing.assert_array_equal(again.features()[1], bank.features()[1])
    again.add(keys[:1], torch.tensor([1]))
    weight = 1 / min(7, num_averaged)
    expected = (1 - weight) * expected + weight * keys[0].double().numpy()
    np.testing.assert_allclose(again.features()[1], expected / np.linalg.norm(expected), rtol=1e-5)
    assert again.never_seen().tolist() == [True, False]


def test_keys_that_cancel_each_other_leave_no_feature(tmp_path):
    bank = KeyBank.create(tmp_path, 2, 3, num_averaged=10)
    for key in (X, -X):
        bank.add(key[None], torch.tensor([0]))
    assert bank.never_seen().tolist() == [True, True]


@pytest.mark.parametrize('row', [float('nan'), float('inf'), 7e30])
def test_a_damaged_row_has_no_part_in_the_mean(tmp_path, row):
    bank = KeyBank.create(tmp_path, 2, 3, num_averaged=10)
    for key in (X, torch.full((3, ), row)):
        bank.add(key[None], torch.tensor([1]))
    assert bank.never_seen().tolist() == [True, True]
    bank.add(Y[None], torch.tensor([1]))
    np.testing.assert_array_equal(bank.features()[1], Y)
    assert bank.never_seen().tolist() == [True, False]


def test_after_what_is_forgotten_the_mean_begins_anew(tmp_path):
    bank = KeyBank.create(tmp_path, 1, 3, num_averaged=10)
    bank.epoch = 5
    bank.add(X[None], torch.tensor([0]))
    bank.forget_after(4)
    bank.add(Y[None], torch.tensor([0]))
    np.testing.assert_array_equal(bank.features()[0], Y)


def on_disk(folder):
    return np.fromfile(folder / 'epochs.i32', np.int32)


def test_keys_are_written_every_few_dozens_of_steps(tmp_path):
    bank = KeyBank.create(tmp_path, 100, 3)
    for i in range(31):
        bank.add(X[None], torch.tensor([i]))
    assert (on_disk(tmp_path) == -1).all()
    bank.add(X[None], torch.tensor([31]))
    assert on_disk(tmp_path).tolist() == [0] * 32 + [-1] * 68
    bank.add(X[None], torch.tensor([32]))
    bank.sync()
    assert on_disk(tmp_path)[32] == 0


@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16])
def test_keys_of_another_precision(tmp_path, dtype):
    bank = KeyBank.create(tmp_path, 2, 3)
    bank.add(torch.tensor([[0.6, 0, 0.8]], dtype=dtype, requires_grad=True), torch.tensor([1]))
    np.testing.assert_allclose(bank.features()[1], [0.6, 0, 0.8], rtol=4e-3)
    assert bank.never_seen().tolist() == [True, False]


@pytest.mark.parametrize('row', [[0, 0, 0], [float('nan'), 1, 0], [float('inf'), 0, 0], [0.9, 0, 0]])
def test_a_row_that_is_no_key_counts_as_never_seen(tmp_path, row):
    bank = filled(tmp_path)
    bank.add(torch.tensor([row]), torch.tensor([4]))
    assert bank.never_seen().tolist() == [False, True, False, True, True, True]


def test_a_bank_goes_on_where_it_was_left(tmp_path):
    bank = filled(tmp_path)
    bank.sync()
    again = KeyBank.open(tmp_path, 6, 3)
    check(again)
    assert again.identity == bank.identity and len(bank.identity) == 32
    again.epoch = 5
    again.add(Z[None], torch.tensor([5]))
    again.flush()
    assert KeyBank.open(tmp_path, 6, 3).epochs.tolist() == [2, -1, 3, -1, 2, 5]


def test_means_of_many_keys_stay_unit_vectors_where_one_alone_is_kept_from_now_on(tmp_path):
    bank = KeyBank.create(tmp_path, 2, 3, num_averaged=10)
    for key in (X, Y):
        bank.add(torch.stack([key, key]), torch.tensor([0, 1]))
    bank.sync()
    again = KeyBank.open(tmp_path, 2, 3, num_averaged=1)
    again.add(Z[None], torch.tensor([1]))
    np.testing.assert_allclose(again.features(), [[0.5**0.5, 0.5**0.5, 0], Z], atol=1e-6)


def write_and_die(folder):
    """Write the keys, and be killed before anything is put on the disk."""
    filled(folder).flush()
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.e2e
def test_a_killed_process_leaves_what_it_had_written(tmp_path):
    process = CONTEXT.Process(target=write_and_die, args=(tmp_path, ))
    process.start()
    process.join(timeout=120)
    assert process.exitcode == -signal.SIGKILL
    check(KeyBank.open(tmp_path, 6, 3))


def test_a_new_bank_is_empty_and_another_one(tmp_path):
    first = filled(tmp_path)
    first.sync()
    second = KeyBank.create(tmp_path, 4, 2)
    assert second.never_seen().tolist() == [True] * 4 and second.identity != first.identity
    assert KeyBank.open(tmp_path, 4, 2).epochs.tolist() == [-1] * 4
    assert (tmp_path / 'keys.f32').stat().st_size == 4 * 4 * 2


def test_later_epochs_are_forgotten(tmp_path):
    bank = filled(tmp_path)
    bank.forget_after(3)
    check(bank)
    bank.forget_after(2)
    assert bank.epochs.tolist() == [2, -1, -1, -1, 2, -1]
    assert bank.never_seen().tolist() == [False, True, True, True, False, True]


def test_more_rows_than_are_worked_on_together(tmp_path):
    bank = KeyBank.create(tmp_path, 2**20 + 3, 1)
    bank.add(torch.ones(3, 1), torch.tensor([1, 65536, 2**20 + 2]))
    assert np.flatnonzero(~bank.never_seen()).tolist() == [1, 65536, 2**20 + 2]
    assert bank.epochs.sum() == -2**20


def refusal(folder, num_images=6, dim=3):
    with pytest.raises(CheckpointError) as caught:
        KeyBank.open(folder, num_images, dim)
    return sentence(caught.value)


def test_a_bank_of_another_size_is_refused(tmp_path):
    filled(tmp_path)
    for num_images, dim in ((7, 3), (6, 4)):
        assert refusal(tmp_path, num_images, dim) == (
            f'The key bank {tmp_path} cannot be used (6 x 3 keys, but this training has {num_images} x {dim}): delete '
            'that folder, and the features of the images that are not trained on until then are extracted.')


@pytest.mark.parametrize('name, data, reason', [
    ('keys.f32', b'123', 'keys.f32 has 3 bytes instead of 72'),
    ('epochs.i32', b'', 'epochs.i32 has 0 bytes instead of 24'),
    ('bank.json', b'{"num_images": 6, "di', 'Unterminated string'),
    ('bank.json', b'[1]', 'list indices'),
    ('bank.json', b'{"num_images": 6, "dim": 3}', 'identity'),
    ('keys.f32', None, 'No such file'),
])
def test_a_damaged_bank_is_refused(tmp_path, name, data, reason):
    filled(tmp_path)
    if data is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(data)
    text = refusal(tmp_path)
    assert text.startswith(f'The key bank {tmp_path} cannot be used (') and reason in text
    assert 'delete that folder' in text


def test_a_bank_that_is_deleted_under_the_training_stays_usable(tmp_path):
    bank = filled(tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    check(bank)


def test_without_a_header_there_is_no_bank(tmp_path):
    assert not KeyBank.exists(tmp_path)
    filled(tmp_path)
    assert KeyBank.exists(tmp_path)
    assert set(json.loads((tmp_path / 'bank.json').read_text())) == {'num_images', 'dim', 'identity'}
    (tmp_path / 'bank.json').unlink()
    assert not KeyBank.exists(tmp_path)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / 'bank').write_text('a file')
    with pytest.raises(CheckpointError, match='Cannot write the key bank .* of 1.9 MiB .File exists.; feature_source'):
        KeyBank.create(tmp_path / 'bank', 98304, 3)
