"""The neighbour table, also as other processes see it."""

import multiprocessing

import numpy as np
import pytest
import torch

from clim_mm.neighbors import NeighborTable

POSITIVES = np.array([[1, 2, 3], [0, -1, -1], [-1, -1, -1], [3, -1, 0], [4, 1, -1]], dtype=np.int32)


def draw(table, sample_idx, rng, excluded=lambda _: False):
    """One positive, or -1."""
    return next(iter(table.draw_some(sample_idx, 1, rng, excluded)), -1)


def published():
    table = NeighborTable(5, 3)
    table.publish(POSITIVES)
    return table


def test_a_new_table_has_version_0_and_no_positives():
    table = NeighborTable(5, 3)
    assert table.version == 0
    np.testing.assert_array_equal(table.positives, np.full((5, 3), -1))
    assert [draw(table, i, np.random.default_rng(0)) for i in range(5)] == [-1] * 5


def test_bytes_are_those_of_the_memory_and_of_what_a_checkpoint_holds():
    table = published()
    assert NeighborTable.bytes_of(5, 3) == table.positives.nbytes == table.state_dict()['positives'].nbytes == 60


def test_publish_replaces_all_rows_and_counts_up():
    table = published()
    assert table.version == 1
    np.testing.assert_array_equal(table.positives, POSITIVES)
    table.publish(POSITIVES[::-1].copy())
    assert table.version == 2
    np.testing.assert_array_equal(table.positives, POSITIVES[::-1])


def test_publish_copies():
    table, positives = NeighborTable(5, 3), POSITIVES.copy()
    table.publish(positives)
    positives[:] = 0
    np.testing.assert_array_equal(table.positives, POSITIVES)


def test_positives_is_a_read_only_view():
    table = published()
    view = table.positives
    assert view.dtype == np.int32
    with pytest.raises(ValueError, match='read-only'):
        view[0, 0] = 4
    table.publish(POSITIVES[::-1].copy())
    np.testing.assert_array_equal(view, POSITIVES[::-1])


@pytest.mark.parametrize('row, ids', [(0, [1, 2, 3]), (1, [0]), (3, [0, 3]), (4, [1, 4])])
def test_draws_are_uniform(row, ids):
    table, rng = published(), np.random.default_rng(0)
    num_draws = 6000
    found, frequency = np.unique([draw(table, row, rng) for _ in range(num_draws)], return_counts=True)
    assert found.tolist() == ids
    share = 1 / len(ids)
    assert (abs(frequency - num_draws * share) <= 5 * np.sqrt(num_draws * share * (1 - share))).all()


def test_a_draw_is_a_plain_int_and_depends_on_the_generator_alone():
    table = published()
    draws = [[draw(table, 0, rng) for _ in range(50)] for rng in map(np.random.default_rng, (7, 7, 8))]
    assert draws[0] == draws[1] != draws[2]
    assert all(type(i) is int for i in draws[0])


ROW = np.array([[6, 1, -1, 4, 2, 5, -1]] * 7, dtype=np.int32)


def of_five():
    table = NeighborTable(7, 7)
    table.publish(ROW)
    return table


@pytest.mark.parametrize('excluded, ids', [
    ({1}, [2, 4, 5, 6]),
    ({4, 6}, [1, 2, 5]),
    ({1, 2, 4, 5}, [6]),
    ({0, 3}, [1, 2, 4, 5, 6]),
])
def test_draws_are_uniform_over_those_that_are_not_excluded(excluded, ids):
    table, rng = of_five(), np.random.default_rng(0)
    num_draws = 6000
    drawn = [draw(table, 0, rng, excluded=lambda i: i in excluded) for _ in range(num_draws)]
    found, frequency = np.unique(drawn, return_counts=True)
    assert found.tolist() == ids
    share = 1 / len(ids)
    assert (abs(frequency - num_draws * share) <= 5 * np.sqrt(num_draws * share * (1 - share))).all()


def test_if_all_are_excluded_there_is_none():
    assert draw(of_five(), 0, np.random.default_rng(0), excluded=lambda i: True) == -1


@pytest.mark.parametrize('seed', range(20))
def test_what_is_found_one_by_one_leads_to_the_same_draw_as_what_is_known(seed):
    table, bad = of_five(), {1, 4, 5}
    known = draw(table, 0, np.random.default_rng(seed), excluded=bad.__contains__)
    found = set()
    while (positive := draw(table, 0, np.random.default_rng(seed), excluded=found.__contains__)) in bad:
        found.add(positive)
    assert positive == known and known in (2, 6)
    # In the order of one permutation: without exclusions the draw is its first.
    in_order = np.random.default_rng(seed).permutation([6, 1, 4, 2, 5]).tolist()
    assert draw(table, 0, np.random.default_rng(seed)) == in_order[0]
    assert known == next(i for i in in_order if i not in bad)


def test_exclusions_change_nothing_that_is_drawn_after():
    after = []
    for excluded in ((), (6, 1), (6, 1, 4, 2, 5)):
        rng = np.random.default_rng(3)
        draw(of_five(), 0, rng, excluded=lambda i, excluded=excluded: i in excluded)
        after.append(rng.random())
    assert after == after[:1] * 3


def test_a_row_without_positives_draws_minus_one():
    assert [draw(published(), 2, np.random.default_rng(seed)) for seed in range(10)] == [-1] * 10


def test_state_dict_round_trip(tmp_path):
    table = published()
    table.publish(POSITIVES[::-1].copy())
    torch.save(table.state_dict(), tmp_path / 'table.pth')
    restored = NeighborTable(5, 3)
    restored.load_state_dict(torch.load(tmp_path / 'table.pth', weights_only=True))
    assert restored.version == 2
    np.testing.assert_array_equal(restored.positives, POSITIVES[::-1])


@pytest.mark.parametrize('change', [
    dict(positives=torch.zeros(5, 3)), dict(positives=torch.zeros(5, 3, dtype=torch.int64)),
    dict(version=torch.tensor([-1])), dict(version=torch.tensor([1, 2])), dict(version=torch.tensor([1.0]))])
def test_a_state_of_other_numbers_is_an_error_and_changes_nothing(change):
    table = published()
    with pytest.raises(ValueError, match='A table has int32 positives and one version'):
        table.load_state_dict(dict(table.state_dict(), **change))
    np.testing.assert_array_equal(table.positives, POSITIVES)
    assert table.version == 1


def test_state_dict_is_a_copy_outside_of_shared_memory():
    table = published()
    state = table.state_dict()
    table.publish(POSITIVES[::-1].copy())
    np.testing.assert_array_equal(state['positives'], POSITIVES)
    assert int(state['version']) == 1
    assert not state['positives'].is_shared() and not state['version'].is_shared()


@pytest.mark.parametrize('shape', [(5, 2), (4, 3), (15, ), (5, 3, 1)])
def test_another_shape_is_an_error(shape):
    table = published()
    with pytest.raises(ValueError, match='5 samples with 3 positives'):
        table.publish(np.zeros(shape, dtype=np.int32))
    np.testing.assert_array_equal(table.positives, POSITIVES)
    assert table.version == 1


@pytest.mark.parametrize('bad', [5, -2, 100000])
def test_an_id_out_of_range_is_an_error(bad):
    table, positives = published(), POSITIVES.copy()
    positives[3, 1] = bad
    with pytest.raises(ValueError, match='from 0 to 4 or -1'):
        table.publish(positives)
    np.testing.assert_array_equal(table.positives, POSITIVES)
    assert table.version == 1


def test_a_state_of_another_size_is_an_error():
    table = published()
    with pytest.raises(ValueError, match='5 samples with 3 positives'):
        table.load_state_dict(NeighborTable(6, 3).state_dict())
    assert table.version == 1


def report_on_demand(table, connection):
    """Run in a child: whenever asked, send what the table holds there."""
    while connection.recv() == 'report':
        draws = [draw(table, i, np.random.default_rng(i)) for i in range(5)]
        connection.send((table.version, table.positives.tolist(), draws))


@pytest.mark.parametrize('method', ['fork', pytest.param('spawn', marks=pytest.mark.e2e)])
def test_a_running_child_sees_what_is_published(method):
    context = multiprocessing.get_context(method)
    table = NeighborTable(5, 3)
    here, there = context.Pipe()
    child = context.Process(target=report_on_demand, args=(table, there), daemon=True)
    child.start()
    try:

        def report():
            here.send('report')
            assert here.poll(60), 'the child does not answer'
            return here.recv()

        assert report() == (0, [[-1] * 3] * 5, [-1] * 5)
        for version, positives in [(1, POSITIVES), (2, POSITIVES[::-1].copy())]:
            table.publish(positives)
            draws = [draw(table, i, np.random.default_rng(i)) for i in range(5)]
            assert report() == (version, positives.tolist(), draws)
        here.send('stop')
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()
