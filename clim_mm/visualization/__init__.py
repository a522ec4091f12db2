"""Pictures for people."""

from .positives import draw_positives

__all__ = ['draw_positives']
