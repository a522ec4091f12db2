"""What the commands share: their arguments, how a training is started, and how errors are said."""

import argparse
import gc
import logging
import os
import os.path as osp
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Optional

from mmengine.config import Config, DictAction
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from clim_mm.causes import cause_of, machine_error
from clim_mm.checkpoints import HeldFolder
from clim_mm.checkpoints.backbone import backbone_init
from clim_mm.checkpoints.run_folder import checkpoints_of
from clim_mm.distributed.end_process import end_process, end_with_starter, tie_children
from clim_mm.errors import CheckpointError, ConfigError, UserError, chain_of, on_one_line, sentence
from clim_mm.hooks.checkpoint_guard_hook import ResumeGuardHook
from clim_mm.hooks.history_hook import HistoryHook
from clim_mm.hooks.loader_watch_hook import LoaderWatchHook
from clim_mm.log_files import say_failures_once, write_to_log

from .interrupts import Interrupted, interruptible, is_told
from .process_limits import raise_open_files
from .run_folders import RunHook


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


def train(cfg: Config, folders: Sequence[HeldFolder]) -> None:
    """Train as a config says.

    Args:
        cfg: The config.
        folders: As ``held_folders`` gives them.
    """
    CommandRunner.current = None
    try:
        runner = CommandRunner.from_cfg(cfg)
        if folders:
            runner.register_hook(RunHook(folders))
        for kind in (HistoryHook, LoaderWatchHook, ResumeGuardHook):  # what a config of another's does not have
            if not any(isinstance(hook, kind) for hook in runner.hooks):
                runner.register_hook(kind())
        CommandRunner.current = runner
        runner.train()
    except Exception as error:
        if isinstance(error, UserError) or (CommandRunner.current and CommandRunner.current.is_set_up):
            raise
        raise machine_error(error) or ConfigError(
            f'The training cannot be set up ({type(error).__name__}: {on_one_line(error)}).') from error


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

    def dump_config(self) -> None:
        """Write nothing."""

    def load_or_resume(self) -> None:
        """Take up a checkpoint, if there is one; it is the last step before the first epoch."""
        self.is_set_up = True
        try:
            super().load_or_resume()
        except UserError:
            raise
        except Exception as error:
            raise machine_error(error) or CheckpointError(
                f'The checkpoint {self._load_from} cannot be taken up ({type(error).__name__}: {on_one_line(error)}): '
                'give one that a training with this config has saved.') from error


def how_to_go_on() -> str:
    """What to do with a training that something has ended, to be put behind a sentence; empty if none had begun."""
    runner = CommandRunner.current
    if runner is None:
        return ''
    saved = runner.message_hub.get_info('last_ckpt', None)
    started_from = runner.cfg.get('load_from') if runner.cfg.get('resume') else None
    if last := next((path for path in (saved, started_from) if path and osp.isfile(path)), None):
        return f' {last} is whole: the same command with --resume goes on from it.'
    if started_from or checkpoints_of(runner.cfg):  # it is nothing local, or another was about to be written
        return ' The same command with --resume goes on from the last checkpoint.'
    return ' No checkpoint was written yet, so that the training begins anew.'


@contextmanager
def errors_in_a_sentence(resumes: bool = False) -> Iterator[None]:
    """End the program with a sentence on whatever has ended it, and with status 1, or a signal's own.

    Where a user can put the error right the sentence stands alone, and the traceback goes into the training's log.
    Anything else shows its traceback as well. Nor is the program left running by what has started it as a part, or its
    workers by it.

    Args:
        resumes: Whether the program takes ``--resume``, so that it can be said what that goes on from.
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
            text = _ended(interrupted, resumes)
            if is_told():
                write_to_log(logging.WARNING, text)
            end_process('' if is_told() else text, interrupted.status)
        cause = cause_of(error)
        said = sentence(error) if isinstance(error, UserError) else cause.sentence if cause else None
        write_to_log(logging.ERROR, 'The training has ended:\n' + ''.join(traceback.format_exception(error)))
        if said is None:
            traceback.print_exc()
            said = f'{type(error).__name__}: {on_one_line(error)}. The lines above show where that came from.'
        if resumes and cause:
            said += how_to_go_on()
        sys.exit(f'Error: {said}')
    finally:
        gc.freeze()  # and at the end of the program, where that would take seconds


def _ended(interrupted: Interrupted, resumes: bool) -> str:
    rank = os.environ.get('RANK', '0')
    if rank != '0':  # the first one tells the rest
        return f'{interrupted} has ended rank {rank}.'
    return f'{interrupted} has ended the program.{how_to_go_on() if resumes else ""}'
