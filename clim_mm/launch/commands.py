"""What the commands share: their arguments, how a config becomes ready, and how errors are said."""

import argparse
import gc
import logging
import os
import os.path as osp
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, Optional

from mmengine.config import Config, DictAction
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from clim_mm.causes import cause_of, machine_error
from clim_mm.checkpoints import HeldFolder
from clim_mm.checkpoints.transfer import backbone_init
from clim_mm.checks import suggestion
from clim_mm.distributed.end_process import end_with_starter, tie_children
from clim_mm.errors import ConfigError, UserError, chain_of, on_one_line, sentence
from clim_mm.log_files import say_failures_once, write_to_log
from clim_mm.runtime import HistoryHook, LoaderWatchHook, ResumeGuardHook

from .config_errors import explain
from .framework_settings import KNOWN_KEYS
from .going_on import how_to_go_on
from .interrupts import Interrupted, interruptible, leave
from .open_files import raise_open_files
from .run_hook import RunHook


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


def load_config(path: str,
                work_dir: Optional[str] = None,
                amp: bool = False,
                cfg_options: Optional[dict] = None,
                launcher: str = 'none',
                pretrained: Optional[str] = None) -> Config:
    """Read a config and let the command line's options override it.

    Args:
        path: The config file.
        work_dir: Defaults to the config's, or ``work_dirs/CONFIG_NAME``.
        amp: Train in mixed precision.
        cfg_options: Settings by dotted keys.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.
        pretrained: A pretraining checkpoint that the model's backbone starts from.

    Raises:
        ConfigError: If there is no such file, it cannot be read, or an option fits nowhere; or if a checkpoint is given
            for a model without a backbone.
    """
    if not osp.isfile(path):
        raise ConfigError(f'There is no config {path}: the ones of this project are below configs/.')
    try:
        cfg = Config.fromfile(path)
    except Exception as error:  # a config is code
        raise machine_error(error) or ConfigError(
            f'The config {path} cannot be read ({type(error).__name__}: {on_one_line(error)}): correct it.') from error
    cfg.launcher = launcher
    if cfg_options is not None:
        _merge(cfg, cfg_options)
    name = osp.splitext(osp.basename(path))[0]
    cfg.work_dir = work_dir or cfg.get('work_dir') or osp.join('work_dirs', name)
    if pretrained is not None:
        if 'backbone' not in cfg.get('model', {}):
            raise ConfigError(f'--pretrained {pretrained}: the model of {path} has no backbone to start from it.')
        cfg.model.backbone.init_cfg = backbone_init(pretrained)
    if amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    return cfg


def _merge(cfg: Config, options: dict) -> None:
    for key in options:
        if (name := key.partition('.')[0]) not in (*cfg, *KNOWN_KEYS):
            raise ConfigError(f'--cfg-options {key}: there is no {name} in the config, and nothing would read it'
                              f'{suggestion(name, [*cfg, *KNOWN_KEYS])}.')
        try:
            cfg.merge_from_dict({key: options[key]})
        except (TypeError, KeyError, AttributeError) as error:
            raise ConfigError(f'--cfg-options {key} does not fit the config ({on_one_line(error)}): correct '
                              'it.') from error


def train(cfg: Config, folders: Sequence[HeldFolder]) -> None:
    """Train as a config says.

    Args:
        cfg: The config.
        folders: As ``held_folders`` gives them.
    """
    runner = _RunnerOfCommands.from_cfg(cfg)
    if folders:
        runner.register_hook(RunHook(folders))
    for kind in (HistoryHook, LoaderWatchHook, ResumeGuardHook):  # what a config of another's does not have
        if not any(isinstance(hook, kind) for hook in runner.hooks):
            runner.register_hook(kind())
    runner.train()


class _RunnerOfCommands(Runner):
    """MMEngine's, with a logger that a full disk does not bother, and without the copy of the config in the work dir.

    That is left to :class:`RunHook`: a start that is refused must not write over it.
    """

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        say_failures_once(logger)
        return logger

    def dump_config(self) -> None:
        pass


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
            text = _ended(interrupted, _frames(error), resumes)
            write_to_log(logging.WARNING, text)
            leave(text, interrupted.status)
        said = sentence(error) if isinstance(error, UserError) else explain(error)
        write_to_log(logging.ERROR, 'The training has ended:\n' + ''.join(traceback.format_exception(error)))
        if said is None:
            traceback.print_exc()
            said = f'{type(error).__name__}: {on_one_line(error)}. The lines above show where that came from.'
        if resumes and cause_of(error):
            said += how_to_go_on(_frames(error))
        sys.exit(f'Error: {said}')
    finally:
        gc.freeze()  # and at the end of the program, where that would take seconds


def _ended(interrupted: Interrupted, frames: Iterable[FrameType], resumes: bool) -> str:
    rank = os.environ.get('RANK', '0')
    if rank != '0':  # the first one tells the rest
        return f'{interrupted} has ended rank {rank}.'
    return f'{interrupted} has ended the program.{how_to_go_on(frames) if resumes else ""}'


def _frames(error: BaseException) -> list[FrameType]:
    return [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
