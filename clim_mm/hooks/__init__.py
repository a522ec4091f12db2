"""Hooks, one verb each. The package itself imports none: a detector's training has those that need no MMSelfSup."""
