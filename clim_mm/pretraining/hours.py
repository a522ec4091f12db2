"""How many epochs fit the time, and with which of several recipes."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from clim_mm.errors import ConfigError
from clim_mm.preflight.forecast import duration

from .recipe import ENOUGH_EPOCHS, MOST_EPOCHS, Recipe


class Cost(NamedTuple):
    """Seconds of an epoch, and of a refresh of the neighbours."""

    epoch: float
    refresh: float = 0.0


def forecast_seconds(recipe: Recipe, cost: Cost) -> float:
    """Seconds that a recipe's epochs and refreshes take."""
    refreshes = len(range(recipe.begin, recipe.epochs, recipe.interval)) if recipe.uses_neighbors else 0
    return recipe.epochs * cost.epoch + refreshes * cost.refresh


def epochs_within(recipe: Recipe, cost: Cost, seconds: float) -> int:
    """The most epochs, up to ``MOST_EPOCHS``, that take no longer than ``seconds``; 0 if one does."""
    low, high = 0, MOST_EPOCHS
    while low < high:  # bisection: more epochs never take less
        middle = (low + high + 1) // 2
        if forecast_seconds(recipe.lasting(middle), cost) <= seconds:
            low = middle
        else:
            high = middle - 1
    return low


def fitted(recipes: Iterable[Recipe], seconds: Callable[[], float],
           measure: Callable[[Recipe], Cost]) -> tuple[Recipe, Cost]:
    """The first recipe of which ``ENOUGH_EPOCHS`` fit the time, or else the last; and what it costs.

    Args:
        seconds: How many are left now: measuring takes some.
        measure: What an epoch of a recipe takes.

    Raises:
        ConfigError: If not one epoch fits.
    """
    for recipe in recipes:
        cost = measure(recipe)
        epochs = epochs_within(recipe, cost, seconds())
        if epochs >= ENOUGH_EPOCHS:
            break
    if epochs == 0:
        raise ConfigError(f'--hours: one epoch of {recipe.num_images:,} images takes {duration(cost.epoch)} here, with '
                          f'{recipe.arch} and views of {recipe.size} pixels, and {duration(max(0, seconds()))} are '
                          'left for the training: give more hours, or fewer images.')
    return recipe.lasting(epochs), cost
