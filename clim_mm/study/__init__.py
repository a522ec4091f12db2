"""Configs by seeds, trained, evaluated and put into one table."""

from .figures import Figure, figures_of, read_runs_csv, runs_csv
from .runs import Run, runs_of
from .statistics import Estimate, estimate, paired_difference
from .study_file import Row, Study, read_study
from .table import Table, table_of

__all__ = [
    'Estimate', 'Figure', 'Row', 'Run', 'Study', 'Table', 'estimate', 'figures_of', 'paired_difference',
    'read_runs_csv', 'read_study', 'runs_csv', 'runs_of', 'table_of'
]
