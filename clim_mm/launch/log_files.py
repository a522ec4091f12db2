"""What is said when the file of a training's log cannot be written."""

import logging
import sys
from functools import partial


def say_failures_once(logger: logging.Logger) -> None:
    """Let a logger say of each of its files once that it cannot be written.

    Python shows a traceback for every line.

    Args:
        logger: Which goes on with its other handlers.
    """
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handleError = partial(_say, handler)  # type: ignore[method-assign]


def _say(handler: logging.FileHandler, record: logging.LogRecord) -> None:
    print(f'Lines are missing in {handler.baseFilename} from here on ({sys.exc_info()[1]}): the training goes on '
          'without.', file=sys.stderr)
    handler.handleError = lambda record: None  # type: ignore[method-assign]
