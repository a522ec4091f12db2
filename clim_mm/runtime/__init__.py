"""What every training has, MMDetection's too: it imports neither MMSelfSup nor MMClassification."""

from .history_hook import HistoryHook
from .json_lines import append_json_line
from .loader_watch_hook import LoaderWatchHook
from .local_vis_backend import LocalVisBackend
from .resume_guard_hook import ResumeGuardHook

__all__ = ['HistoryHook', 'LoaderWatchHook', 'LocalVisBackend', 'ResumeGuardHook', 'append_json_line']
