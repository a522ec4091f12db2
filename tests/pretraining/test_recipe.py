"""The settings that are chosen, and how many epochs fit the time."""

from dataclasses import replace

import pytest

from clim_mm.errors import ConfigError
from clim_mm.pretraining.hours import Cost, epochs_within, fitted, forecast_seconds
from clim_mm.pretraining.recipe import ENOUGH_EPOCHS, MOST_EPOCHS, Recipe, affordable, candidates

SMALL = Recipe('images', 2000, 'clim', 'resnet18', 16, 32, batch=64, processes=1, on_gpu=False, workers=2, epochs=40)
IMAGENET = Recipe('images', 1_281_167, 'clim', 'resnet50', 64, 224, 32, 16, True, 8, epochs=200)


def of(num_images=2000, side=400, method='clim', gpus=0, **options):
    return [*candidates('images', num_images, side, method, 16, gpus, **options)]


def test_on_imagenet_the_settings_are_the_papers():
    assert (IMAGENET.lr, IMAGENET.weight_decay, IMAGENET.momentum) == (0.06, 1e-4, 0.999)
    assert IMAGENET.resolutions == (224, 160) and IMAGENET.interval == 5 and IMAGENET.dim == 2048
    assert IMAGENET.begin == 20


def test_short_trainings_have_the_settings_of_the_studies():
    assert (SMALL.lr, SMALL.weight_decay, SMALL.momentum) == (0.048, 5e-4, 0.99)
    assert replace(SMALL, method='byol', batch=100).lr == 0.1
    assert SMALL.steps == 31 and SMALL.resolutions == (32, ) and SMALL.begin == 10 and SMALL.interval == 4
    assert (SMALL.lasting(1).begin, SMALL.lasting(2).begin, SMALL.lasting(1).interval) == (0, 1, 1)
    assert not SMALL.lasting(1000).is_short and SMALL.lasting(1000).lr == 0.0075


def test_views_are_not_larger_than_the_images():
    assert [recipe.size for recipe in of(side=400)] == [224, 224, 112, 64, 64, 32]
    assert [(recipe.arch, recipe.channels, recipe.size) for recipe in of(side=35)] == [
        ('resnet50', 64, 32), ('resnet18', 64, 32), ('resnet18', 16, 32)]
    assert {recipe.size for recipe in of(side=5)} == {16}


def test_what_is_given_is_taken():
    assert [(recipe.arch, recipe.channels, recipe.size) for recipe in of(arch='resnet34', size=96)] == [
        ('resnet34', 64, 96)]
    assert {recipe.size for recipe in of(size=96)} == {96}
    assert {recipe.arch for recipe in of(arch='resnet50')} == {'resnet50'}


def test_processes_batches_and_workers():
    assert [(recipe.processes, recipe.batch, recipe.workers) for recipe in of(100_000, gpus=4)][0] == (4, 64, 4)
    assert of(100_000, side=32, gpus=1)[0].batch == 256 and of(100_000, side=32)[0].batch == 64
    assert of(100)[0].batch == 8 and of(300)[0].batch == 32
    assert all(recipe.steps >= 2 for number in (16, 17, 100, 1000) for recipe in of(number))


def test_without_a_time_a_slim_network_on_a_cpu():
    assert affordable(of(), 0).channels == 16 and affordable(of(gpus=1), 1).arch == 'resnet50'
    assert affordable(of(arch='resnet50'), 0).arch == 'resnet50'


@pytest.mark.parametrize('options, words', [
    (dict(method='simclr'), "--method must be one of clim"),
    (dict(arch='resnet20'), '--arch must be one of resnet18'), (dict(size=8), '--size must be')])
def test_what_is_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        of(**options)


def test_what_is_said_of_a_recipe():
    said = '\n'.join(SMALL.lines())
    for words in ('clim, resnet18 of 16 channels, views of 32 pixels', '40 epochs of 31 steps, 64 images a step',
                  'learning rate 0.048', 'as in short trainings (1,240 steps)', 'from epoch 10 on, every 4 epochs'):
        assert words in said
    assert 'views of 224 and 160' in '\n'.join(IMAGENET.lines())
    assert 'neighbours' not in '\n'.join(replace(SMALL, method='byol').lines())


def test_the_time_of_epochs_and_refreshes():
    assert forecast_seconds(SMALL, Cost(2.0, 5.0)) == 40 * 2 + 8 * 5  # at 10, 14 ... 38
    assert forecast_seconds(replace(SMALL, method='mocov2'), Cost(2.0, 5.0)) == 80


@pytest.mark.parametrize('seconds', [0.5, 1.0, 37.0, 5000.0, 1e9])
def test_as_many_epochs_as_fit(seconds):
    cost = Cost(1.0, 2.0)
    epochs = epochs_within(SMALL, cost, seconds)
    assert epochs == 0 or forecast_seconds(SMALL.lasting(epochs), cost) <= seconds
    assert epochs == MOST_EPOCHS or forecast_seconds(SMALL.lasting(epochs + 1), cost) > seconds


def test_the_first_of_which_enough_epochs_fit():
    costs = {('resnet50', 224): 900.0, ('resnet18', 224): 300.0, ('resnet18', 112): 30.0}
    tried = []

    def measure(recipe):
        tried.append((recipe.arch, recipe.size))
        return Cost(costs[tried[-1]])

    recipe, cost = fitted(of(method='byol'), lambda: 1000.0, measure)
    assert (recipe.arch, recipe.size, recipe.epochs, cost.epoch) == ('resnet18', 112, 33, 30.0)
    assert tried == [*costs]


def test_the_last_where_none_has_enough_and_none_without_an_epoch():
    recipe, _ = fitted(of(method='byol'), lambda: 50.0, lambda recipe: Cost(10.0))
    assert (recipe.channels, recipe.size, recipe.epochs) == (16, 32, 5) and recipe.epochs < ENOUGH_EPOCHS
    with pytest.raises(ConfigError, match=r'one epoch of 2,000 images takes 10 s here.*5 s are left.*more hours'):
        fitted(of(method='byol'), lambda: 5.0, lambda recipe: Cost(10.0))
