"""Losses on queries, keys and queues."""
