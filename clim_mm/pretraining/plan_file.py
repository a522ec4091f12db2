"""What ``clim-mm pretrain`` was asked for and has planned, in its folder: the same command goes on from it."""

import json
import os.path as osp
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple, Optional

from clim_mm.checkpoints import write_json
from clim_mm.errors import ConfigError, DataError

from .recipe import Recipe

PLAN = 'plan.json'


class Planned(NamedTuple):
    """A recipe, and the seconds that its training will take; None if that was not forecast."""

    recipe: Recipe
    seconds: Optional[float]


def write_plan(folder: str, request: Mapping[str, Any], planned: Planned, survey: Mapping[str, Any]) -> None:
    """Keep what was asked for, planned, and found in the images' folder."""
    write_json(osp.join(folder, PLAN), dict(request=dict(request), recipe=asdict(planned.recipe),
                                             seconds=planned.seconds, survey=dict(survey)))


def read_plan(folder: str, request: Mapping[str, Any]) -> Optional[Planned]:
    """What was planned there by the same request; None if nothing was.

    Raises:
        ConfigError: If it was by another request.
        DataError: If the plan cannot be read.
    """
    if not osp.exists(osp.join(folder, PLAN)):
        return None
    held = read_happened(folder)
    planned, before = Planned(Recipe(**held['recipe']), held['seconds']), held['request']
    if changed := [name for name in request if before.get(name) != request[name]]:
        name, now = changed[0], request[changed[0]]
        raise ConfigError(f'{folder} was begun with {name} = {before.get(name)!r}, now it is {now!r}: give the same '
                          'to go on, or another --out to begin anew.')
    return planned


def read_happened(folder: str) -> dict[str, Any]:
    """All that the file says: ``request``, ``recipe``, ``seconds``, ``survey`` and ``spent``, seconds of training.

    Raises:
        DataError: If there is none, or it cannot be read.
    """
    path = osp.join(folder, PLAN)
    try:
        with open(path, encoding='utf-8') as file:
            held = json.load(file)
        Recipe(**held['recipe'])
        return dict(request=dict(held['request']), recipe=held['recipe'], seconds=held['seconds'],
                    survey=dict(held['survey']), spent=held.get('spent', 0.0))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f'{path} cannot be read ({type(error).__name__}): give the folder of clim-mm pretrain, or '
                        'another --out.') from error


def add_spent(folder: str, seconds: float) -> None:
    """Note that the training has gone on for so long."""
    held = read_happened(folder)
    write_json(osp.join(folder, PLAN), dict(held, spent=held['spent'] + seconds))
