"""The checks of gpu_acceptance.py, a file for each."""

import time

BEGUN = time.monotonic()
"""Before the imports, which take seconds."""
