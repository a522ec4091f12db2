"""What goes into the log of a training, and not once more to the terminal."""

import logging

from mmengine.logging import MMLogger


def write_to_log(level: int, text: str) -> None:
    """Write a record to the files that MMEngine logs into, if there are any; a full disk is no error here.

    Args:
        level: As ``logging`` has it.
        text: Of the record.
    """
    record = logging.LogRecord('clim_mm', level, __file__, 0, text, None, None)
    before, logging.raiseExceptions = logging.raiseExceptions, False
    for handler in MMLogger.get_current_instance().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)
    logging.raiseExceptions = before
