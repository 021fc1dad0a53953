"""gpt-oss: see `harmony.py`."""

from ..harmony import Harmony

FORMAT = Harmony()
