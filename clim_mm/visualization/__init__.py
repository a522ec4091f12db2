"""Pictures and pages for people."""

from .positives import draw_positives
from .positives_page import PageHead, evenly_spread, positives_page

__all__ = ['PageHead', 'draw_positives', 'evenly_spread', 'positives_page']
