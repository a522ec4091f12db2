"""The report of ``clim-mm pretrain``: what was planned, what happened, and what the network has learned from."""

from .report import write_report

__all__ = ['write_report']
