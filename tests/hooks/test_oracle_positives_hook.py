"""Trainings whose positives the labels choose."""

import numpy as np
import pytest
from colored_images import write_colored
from exact_runs import loader_cfg
from training_runs import N, hook_cfg, lines_of, pairs_cfg, train

from clim_mm.datasets import labels_of
from clim_mm.errors import ConfigError, DataError
from clim_mm.hooks.oracle_positives_hook import OraclePositivesHook
from clim_mm.neighbors.refresh_health import purity

pytestmark = pytest.mark.usefixtures('one_torch_thread')


def oracle_cfg(**options):
    return hook_cfg(type='OraclePositivesHook', **options)


@pytest.mark.parametrize('share', [0.0, 0.5, 1.0])
def test_the_table_is_as_pure_as_asked(folder, tmp_path, share):
    witness, runner = train(folder, tmp_path, 3, oracle_cfg(purity=share))
    labels = labels_of(runner.train_dataloader.dataset.dataset)
    assert len(witness.tables) == 3
    lines = lines_of(tmp_path)
    assert [line['epoch'] for line in lines] == [0, 2]
    for line in lines:
        found = purity(witness.tables[line['epoch']], labels)
        assert line['purity_oracle'] == found == pytest.approx(share, abs=0.0 if share in (0, 1) else 0.15)
        assert 0 < line['purity_center_wise'] < 1 and line['share_without_positive'] == 0
    assert (witness.tables[0] != witness.tables[2]).any() and 0 < lines[1]['positives_changed'] < 1


def test_unreadable_images_are_no_positives(tmp_path):
    folder = tmp_path / 'images'
    paths = [path for name in 'ab' for path in write_colored(folder / name, N // 2)]
    paths[3].write_bytes(b'no image')
    witness, _ = train(folder, tmp_path / 'work', 3, oracle_cfg(), train_dataloader=loader_cfg(
        dict(pairs_cfg(folder), max_unreadable=0.2)))
    last = witness.tables[2]
    assert (last[3] == -1).all() and not (last == 3).any()
    half = N // 2
    assert set(np.unique(last[:half])) <= {-1, *range(half)}
    assert set(np.unique(last[half:])) <= set(range(half, N))


def test_a_set_without_labels(paths, tmp_path):
    with pytest.raises(DataError, match='none: take CenterWiseNeighborHook'):
        train(None, tmp_path / 'work', 1, oracle_cfg(), train_dataloader=loader_cfg(
            dict(pairs_cfg(None), dataset=dict(type='ImageFolder', data_root=str(paths[0].parent)))))


@pytest.mark.parametrize('share', [-0.1, 2, None, 'all'])
def test_a_purity_that_is_none(share):
    with pytest.raises(ConfigError, match='purity of OraclePositivesHook'):
        OraclePositivesHook(purity=share)
