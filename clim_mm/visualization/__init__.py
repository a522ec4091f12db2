"""Pictures and pages for people."""

from .clusters_page import clusters_page
from .confusion import draw_confusion
from .duplicates_page import duplicates_page
from .figures import Visualizer, choose_images, draw_positives, draw_tsne
from .positives_page import PageHead, evenly_spread, positives_page

__all__ = [
    'PageHead', 'Visualizer', 'choose_images', 'clusters_page', 'draw_confusion', 'draw_positives', 'draw_tsne',
    'duplicates_page', 'evenly_spread', 'positives_page'
]
