"""Embeddings of a folder of images: vectors, clusters, neighbours, near-duplicates."""

from .duplicates import duplicate_groups
from .embed import embed
from .embeddings import Embeddings

__all__ = ['Embeddings', 'duplicate_groups', 'embed']
