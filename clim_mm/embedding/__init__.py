"""Embeddings of a folder of images: vectors, clusters, neighbours, near-duplicates."""

from .duplicates import duplicate_groups
from .embed import Embeddings, embed

__all__ = ['Embeddings', 'duplicate_groups', 'embed']
