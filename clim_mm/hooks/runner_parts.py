"""What the hooks need of a Runner, or why it does not fit them."""

import os.path as osp
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

from mmengine.runner import EpochBasedTrainLoop, Runner

from clim_mm.checkpoints.atomic_write import append_json_line
from clim_mm.distributed import unwrapped
from clim_mm.errors import CheckpointError, ConfigError, on_one_line
from clim_mm.protocols import RefreshesNeighbors, having


def dataset_with(runner: Runner, capability: type, hook: str) -> Any:
    """The training set, for a hook that needs a capability of it."""
    return having(runner.train_dataloader.dataset, capability, hook,
                  'wrap the training set, as configs/_base_/datasets does, or take the hook out of the config')


def model_with(runner: Runner, capability: type, hook: str) -> Any:
    """The model without its wrapper, for a hook that needs a capability of it."""
    return having(unwrapped(runner), capability, hook, 'take another model.type, or the hook out of the config')


def refresher_of(runner: Runner) -> Optional[RefreshesNeighbors]:
    """The hook that refreshes the neighbours, if there is one."""
    return next((hook for hook in runner.hooks if isinstance(hook, RefreshesNeighbors)), None)


def needed_refresher(runner: Runner, hook: str) -> RefreshesNeighbors:
    """The hook that refreshes the neighbours, for a hook that looks at what it finds."""
    return having(refresher_of(runner) or runner, RefreshesNeighbors, hook,
                  'inherit from configs/_base_/clim_runtime.py, or take the hook out of the config')


@contextmanager
def part_of_checkpoint(part: str) -> Iterator[None]:
    """Say of whatever goes wrong with a part of a checkpoint that it is the checkpoint's fault."""
    try:
        yield
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise CheckpointError(f'The {part} of the checkpoint cannot be taken up ({on_one_line(error).rstrip(".")}): it '
                              'belongs to another training set, or was altered; give another checkpoint.') from error


def check_epochs(runner: Runner, hook: str) -> None:
    """Check that a hook of that name runs in a loop by epochs."""
    if not isinstance(runner.train_loop, EpochBasedTrainLoop):
        raise ConfigError(f'{hook} acts between epochs: use train_cfg=dict(type="EpochBasedTrainLoop", ...).')


def resumed(runner: Runner) -> bool:
    """Whether this run goes on from a checkpoint, and does not merely start from other weights."""
    return runner.epoch > 0


def append_record(runner: Runner, file: str, **record: Any) -> None:
    """Append a record, after the run and the epoch, to a file of JSON lines in the work dir."""
    append_json_line(osp.join(runner.work_dir, file), dict(run=runner.timestamp, epoch=runner.epoch, **record))
