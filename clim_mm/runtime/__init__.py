"""What every training has, MMDetection's too; imports neither MMSelfSup nor MMClassification."""

from .history_hook import HistoryHook
from .json_lines import LocalVisBackend, append_json_line
from .loader_watch_hook import LoaderWatchHook
from .resume_guard_hook import ResumeGuardHook

__all__ = ['HistoryHook', 'LoaderWatchHook', 'LocalVisBackend', 'ResumeGuardHook', 'append_json_line']
