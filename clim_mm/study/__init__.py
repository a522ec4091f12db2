"""Configs by seeds, trained, evaluated and put into one table."""

from .runs import Run, runs_of, unfinished
from .study_file import Row, Study, read_study
from .table import Estimate, Figure, Table, estimate, figures_of, read_runs_csv, runs_csv, table_of

__all__ = [
    'Estimate', 'Figure', 'Row', 'Run', 'Study', 'Table', 'estimate', 'figures_of', 'read_runs_csv', 'read_study',
    'runs_csv', 'runs_of', 'table_of', 'unfinished'
]
