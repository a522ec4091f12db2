"""What the hooks need of a Runner, or why it does not fit them."""

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.runner import EpochBasedTrainLoop, Runner

from clim_mm.datasets import NeighborPairs
from clim_mm.distributed import unwrapped
from clim_mm.errors import CheckpointError, ConfigError, on_one_line
from clim_mm.models import CLIM


def pairs_of(runner: Runner, hook: str) -> NeighborPairs:
    """The training set, for a hook of that name.

    Raises:
        ConfigError: If it is no :class:`NeighborPairs`.
    """
    dataset = runner.train_dataloader.dataset
    if not isinstance(dataset, NeighborPairs):
        raise ConfigError(f'{hook} needs a NeighborPairs dataset, but the training set is a {type(dataset).__name__}: '
                          'wrap it, as configs/_base_/datasets does, or take the hook out of the config.')
    return dataset


def clim_of(runner: Runner, hook: str) -> CLIM:
    """The model without its wrapper, for a hook of that name.

    Raises:
        ConfigError: If it is no :class:`CLIM`.
    """
    model = unwrapped(runner)
    if not isinstance(model, CLIM):
        raise ConfigError(f'{hook} needs a CLIM model, but the model is a {type(model).__name__}: set model.type to '
                          '"CLIM", or take the hook out of the config.')
    return model


@contextmanager
def taking_up(part: str) -> Iterator[None]:
    """Say of whatever goes wrong with a part of a checkpoint that it is the checkpoint's fault.

    Raises:
        CheckpointError: If the part is not of the kind or the size that is wanted.
    """
    try:
        yield
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise CheckpointError(f'The {part} of the checkpoint cannot be taken up ({on_one_line(error).rstrip(".")}): it '
                              'belongs to another training set, or was altered; give another checkpoint.') from error


def check_epochs(runner: Runner, hook: str) -> None:
    """Check that a hook of that name runs in a loop by epochs.

    Raises:
        ConfigError: If the loop is another.
    """
    if not isinstance(runner.train_loop, EpochBasedTrainLoop):
        raise ConfigError(f'{hook} acts between epochs: use train_cfg=dict(type="EpochBasedTrainLoop", ...).')


def resumed(runner: Runner) -> bool:
    """Whether this run goes on from a checkpoint, and does not merely start from other weights."""
    return runner.epoch > 0
