"""Configs by seeds, trained, evaluated and put into one table."""

from .runs import Run, runs_of
from .statistics import Estimate, estimate, paired_difference
from .study_file import Row, Study, read_study
from .table import Table, runs_csv, table_of

__all__ = [
    'Estimate', 'Row', 'Run', 'Study', 'Table', 'estimate', 'paired_difference', 'read_study', 'runs_csv',
    'runs_of', 'table_of'
]
