"""The files of a training's log: what goes there alone, and what is said when they cannot be written."""

import logging
import sys
from functools import partial

from mmengine.logging import MMLogger


def write_to_log(level: int, text: str) -> None:
    """Write a record to the files that MMEngine logs into, if there are any; a full disk is no error here."""
    record = logging.LogRecord('clim_mm', level, __file__, 0, text, None, None)
    before, logging.raiseExceptions = logging.raiseExceptions, False
    for handler in MMLogger.get_current_instance().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)
    logging.raiseExceptions = before


def say_failures_once(logger: logging.Logger) -> None:
    """Let a logger say once of each of its files that it cannot be written; Python shows a traceback for every line."""
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handleError = partial(_say, handler)  # type: ignore[method-assign]


def _say(handler: logging.FileHandler, record: logging.LogRecord) -> None:
    print(f'Lines are missing in {handler.baseFilename} from here on ({sys.exc_info()[1]}): the training goes on '
          'without.', file=sys.stderr)
    handler.handleError = lambda record: None  # type: ignore[method-assign]
