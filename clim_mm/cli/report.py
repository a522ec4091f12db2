"""Make the report of a pretraining anew.

    clim-mm report work_dirs/pretrain_pictures
"""

import argparse

import clim_mm  # noqa: F401
from clim_mm.launch.commands import errors_in_a_sentence
from clim_mm.pretraining.plan_file import read_happened
from clim_mm.report import write_report


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Make the report of a pretraining anew.')
    parser.add_argument('folder', help='of clim-mm pretrain: work_dirs/pretrain_NAME, or its --out')
    return parser.parse_args()


def main() -> None:
    """Write it."""
    args = parse_args()
    with errors_in_a_sentence():
        print(f'Wrote {write_report(args.folder, read_happened(args.folder))}.')
