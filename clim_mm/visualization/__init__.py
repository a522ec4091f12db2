"""Pictures and pages for people."""

from .positives import draw_positives
from .positives_page import PageHead, evenly_spread, positives_page
from .tsne import choose_images, draw_tsne
from .visualizer import Visualizer

__all__ = [
    'PageHead', 'Visualizer', 'choose_images', 'draw_positives', 'draw_tsne', 'evenly_spread', 'positives_page'
]
