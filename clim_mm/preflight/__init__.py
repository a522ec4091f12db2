"""Before a training: what it will take, and what looks wrong."""

from .plan import Plan, survey

__all__ = ['Plan', 'survey']
