"""A log on a full disk."""

import logging

from clim_mm.log_files import say_failures_once


def test_a_full_disk_is_said_once(tmp_path, capsys):
    logger = logging.Logger('full')
    logger.addHandler(logging.FileHandler('/dev/full'))
    logger.addHandler(logging.FileHandler(tmp_path / 'log.txt'))
    say_failures_once(logger)
    for number in range(3):
        logger.warning(number)
    assert capsys.readouterr().err == (
        'Lines are missing in /dev/full from here on ([Errno 28] No space left on device): the training goes on '
        'without.\n')
    assert (tmp_path / 'log.txt').read_text() == '0\n1\n2\n'
