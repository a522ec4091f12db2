"""The plan in a folder, and the training that is followed."""

import sys

import pytest

from clim_mm.errors import ConfigError, DataError
from clim_mm.pretraining.plan_file import Planned, read_plan, write_plan
from clim_mm.pretraining.recipe import Recipe
from clim_mm.pretraining.training_output import followed

RECIPE = Recipe('images', 2000, 'clim', 'resnet18', 16, 32, 64, 1, False, 2, epochs=40)
REQUEST = dict(folder='/images', hours=8.0, epochs=None)


def test_the_same_request_goes_on(tmp_path):
    assert read_plan(str(tmp_path), REQUEST) is None
    write_plan(str(tmp_path), REQUEST, Planned(RECIPE, 12.5), dict(images=2000))
    assert read_plan(str(tmp_path), REQUEST) == Planned(RECIPE, 12.5)
    with pytest.raises(ConfigError, match=r'begun with hours = 8.0, now it is 9.0: give the same'):
        read_plan(str(tmp_path), dict(REQUEST, hours=9.0))


@pytest.mark.parametrize('content', ['', '{}', '{"request": 1, "recipe": {"x": 1}, "seconds": 2}'])
def test_a_plan_that_is_none(tmp_path, content):
    (tmp_path / 'plan.json').write_text(content)
    with pytest.raises(DataError, match='cannot be read'):
        read_plan(str(tmp_path), REQUEST)


def test_a_training_is_followed(tmp_path):
    program = '''
print("11/29 12:04:49 - mmengine - INFO - Epoch(train) [1][ 5/10]  lr: 1e-2  eta: 0:07:03  loss: 4.9835  x: 1")
print("11/29 12:04:53 - mmengine - INFO - Neighbours refreshed at epoch 1 in 3.4 s. Healthy.")
print('11/29 11:57:45 - mmengine - WARNING - "FileClient" will be deprecated in future.')
print("11/29 11:57:45 - mmengine - WARNING - Watchdog at iteration 3: Collapsing.")
print("Error: it is over")
raise SystemExit(3)'''
    told = []
    assert followed([sys.executable, '-c', program], str(tmp_path / 'log'), 2, told.append) == 3
    assert told == ['Neighbours refreshed at epoch 1 in 3.4 s. Healthy.', 'Watchdog at iteration 3: Collapsing.',
                    'Error: it is over']
    assert len((tmp_path / 'log').read_text().splitlines()) == 5
