"""What every training has, MMDetection's too; imports neither MMSelfSup nor MMClassification."""

from .bf16_optim_wrapper import Bf16OptimWrapper
from .json_lines import LocalVisBackend, append_json_line

__all__ = ['Bf16OptimWrapper', 'LocalVisBackend', 'append_json_line']
