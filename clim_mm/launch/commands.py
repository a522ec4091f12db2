"""What the commands share: their arguments, how a training is started, and how errors are said."""

import argparse
import ctypes
import gc
import logging
import os
import resource
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Optional

from mmengine.config import Config, DictAction
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import build_functions
from mmengine.runner import Runner

from clim_mm.causes import cause_of, machine_error
from clim_mm.checkpoints import HeldFolder
from clim_mm.checkpoints.backbone import backbone_init
from clim_mm.distributed.end_process import end_process, end_with_starter, tie_children
from clim_mm.errors import CheckpointError, ConfigError, UserError, chain_of, on_one_line, sentence
from clim_mm.hooks.checkpoint_guard_hook import ResumeGuardHook
from clim_mm.hooks.upkeep_hooks import HistoryHook, LoaderWatchHook
from clim_mm.log_files import say_failures_once, write_to_log
from clim_mm.protocols import Quarantining, RefreshesNeighbors, SeededSamples, TakesNeighbors

from .interrupts import Interrupted, interruptible
from .run_folders import RunHook

_ENOUGH_FILES = 65536  # [ours]
_HOOKS_OF_MMENGINE = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
# glibc's mallopt(3). By default it gives large blocks back at once, and the system fills new ones with zeros, page by
# page: a cost that grows faster than the activations. GPUs do not know it, since torch keeps their memory.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_MALLOC_OPTIONS = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: -1, _M_TOP_PAD: 2**28}  # no mmap; never trim; 256 MiB at once


class Options(DictAction):
    """MMEngine's ``KEY=VALUE``, with a sentence on what is none."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
                 option_string: Optional[str] = None) -> None:
        """Take up the pairs."""
        try:
            super().__call__(parser, namespace, values, option_string)
        except (ValueError, AssertionError, RecursionError) as error:  # no "=", or brackets that it cannot take apart
            raise argparse.ArgumentError(self, f'give KEY=VALUE, not {" ".join(values)}') from error


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what names a training: ``config``, ``--work-dir``, ``--amp`` and ``--cfg-options``."""
    parser.add_argument('config', help='the config file')
    parser.add_argument('--work-dir', help='where logs and checkpoints go (default: work_dirs/CONFIG_NAME)')
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument(
        '--cfg-options', nargs='+', action=Options, metavar='KEY=VALUE',
        help='override settings, as in train_cfg.max_epochs=100 model.queue_len=4096')


def start_backbone(cfg: Config, checkpoint: str) -> None:
    """Let the model's backbone start from a pretraining checkpoint."""
    if 'backbone' not in cfg.get('model', {}):
        raise ConfigError(f'--pretrained {checkpoint}: the model of {cfg.filename} has no backbone to start from it.')
    cfg.model.backbone.init_cfg = backbone_init(checkpoint)


def train(cfg: Config, folders: Sequence[HeldFolder], *hooks: Hook) -> None:
    """Train as a config says.

    Args:
        folders: As ``held_folders`` gives them.
        hooks: Further ones.
    """
    CommandRunner.current = None
    try:
        runner = CommandRunner.from_cfg(cfg)
        for hook in (*([RunHook(folders)] if folders else []), *hooks):
            runner.register_hook(hook)
        for kind in (HistoryHook, LoaderWatchHook, ResumeGuardHook):  # what a config of another's does not have
            if not any(isinstance(hook, kind) for hook in runner.hooks):
                runner.register_hook(kind())
        CommandRunner.current = runner
        runner.train()
    except Exception as error:
        if isinstance(error, UserError) or (CommandRunner.current and CommandRunner.current.is_set_up):
            raise
        what = on_one_line(error) or traceback.extract_tb(error.__traceback__)[-1].line  # an assertion's own
        raise machine_error(error) or ConfigError(
            f'The training cannot be set up ({type(error).__name__}: {what}).') from error


class CommandRunner(Runner):
    """MMEngine's, with a logger that a full disk does not bother, and without the copy of the config in the work dir.

    That is left to :class:`RunHook`: a start that is refused must not write over it.

    Attributes:
        current: The one that trains in this process, if there is one.
        is_set_up: Whether all its parts are built.
    """

    current: Optional['CommandRunner'] = None
    is_set_up = False

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build MMEngine's logger."""
        logger = super().build_logger(*args, **kwargs)
        say_failures_once(logger)
        return logger

    def register_default_hooks(self, hooks: Optional[dict] = None) -> None:
        """Register hooks by their names, without those that are None, as which MMEngine knows its own alone."""
        super().register_default_hooks({name: hook for name, hook in (hooks or {}).items()
                                        if hook is not None or name in _HOOKS_OF_MMENGINE})

    def dump_config(self) -> None:
        """Write nothing."""

    def load_or_resume(self) -> None:
        """Take up a checkpoint, if there is one; it is the last step before the first epoch."""
        self.is_set_up = True
        _check_hooks(self)
        try:
            super().load_or_resume()
        except UserError:
            raise
        except Exception as error:
            raise machine_error(error) or CheckpointError(
                f'The checkpoint {self._load_from} cannot be taken up ({type(error).__name__}: {on_one_line(error)}): '
                'give one that a training with this config has saved.') from error


def _check_hooks(runner: Runner) -> None:
    """Check for the hooks without which what the training set can do goes wrong silently."""
    dataset = runner.train_dataloader.dataset
    if not isinstance(dataset, (TakesNeighbors, SeededSamples, Quarantining)):
        return
    from clim_mm.hooks.training_set_hooks import EpochRandomnessHook, QuarantineHook  # detectors need no MMSelfSup

    for capability, needed, name in ((TakesNeighbors, RefreshesNeighbors, 'CenterWiseNeighborHook'),
                                     (SeededSamples, EpochRandomnessHook, 'EpochRandomnessHook'),
                                     (Quarantining, QuarantineHook, 'QuarantineHook')):
        if isinstance(dataset, capability) and not any(isinstance(hook, needed) for hook in runner.hooks):
            raise ConfigError(f'The training set, a {type(dataset).__name__}, needs a {name} in default_hooks or '
                              'custom_hooks: inherit from configs/_base_/clim_runtime.py.')


@contextmanager
def errors_in_a_sentence(resumes: bool = False) -> Iterator[None]:
    """End the program with a sentence on whatever has ended it, and with status 1, or a signal's own.

    Where a user can put the error right the sentence stands alone, and the traceback goes into the training's log.
    Anything else shows its traceback as well. Neither the program nor its workers outlive what has started them.
    ``resumes`` says whether the program takes ``--resume``.
    """
    raise_open_files()
    end_with_starter()
    tie_children()
    gc.freeze()  # modules stay; MMEngine's datasets have the collector look through all of them as they are built
    try:
        with interruptible(partial(_ended, resumes=resumes)):
            yield
    except (Exception, Interrupted) as error:
        with suppress(OSError, ValueError):  # closed, or nobody reads
            sys.stdout.flush()  # the sentence comes last in a file of both
        interrupted = next((link for link in chain_of(error) if isinstance(link, Interrupted)), None)
        if interrupted is not None:  # of which others may have made an error of their own
            end_process(_ended(interrupted, resumes), interrupted.status)
        cause = cause_of(error)
        said = sentence(error) if isinstance(error, UserError) else cause.sentence if cause else _refused_part(error)
        write_to_log(logging.ERROR, 'The training has ended:\n' + ''.join(traceback.format_exception(error)))
        if said is None:
            traceback.print_exc()
            said = f'{type(error).__name__}: {on_one_line(error)}. The lines above show where that came from.'
        if cause:
            said += _how_to_go_on(resumes)
        sys.exit(f'Error: {said}')
    finally:
        gc.freeze()  # and at the end of the program, where that would take seconds


def _refused_part(error: BaseException) -> Optional[str]:
    """What MMEngine's registries say of a part of the config that they cannot build; None of any other error."""
    if all(frame.filename != build_functions.__file__ for frame in traceback.extract_tb(error.__traceback__)):
        return None
    return f'A part of the config cannot be built ({type(error).__name__}: {on_one_line(error)}): correct its settings.'


def _ended(interrupted: Interrupted, resumes: bool) -> str:
    """What is said of it; nothing where torchrun, which has passed on the signal, says so."""
    if 'TORCHELASTIC_RUN_ID' in os.environ:
        return ''
    rank = os.environ.get('RANK', '0')
    if rank != '0':  # the first one tells the rest
        return f'{interrupted} has ended rank {rank}.'
    return f'{interrupted} has ended the program.{_how_to_go_on(resumes)}'


def _how_to_go_on(resumes: bool) -> str:
    """What to do with a training that something has ended, to be put behind a sentence; empty if none had begun."""
    began = resumes and CommandRunner.current is not None
    return ' The same command with --resume goes on from the last checkpoint, if one was written.' if began else ''


def raise_open_files() -> None:
    """Let this process and its children open as many files as the system lets it have, where that is few by default.

    Each tensor of a batch comes from a DataLoader worker as a file; with the usual 1,024 large batches never arrive.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(_ENOUGH_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def keep_memory() -> None:
    """Let this process and its children keep what they free. Does nothing with another allocator than glibc's."""
    with suppress(AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        for name, value in _MALLOC_OPTIONS.items():
            mallopt(name, value)
