"""gpt-oss: see `harmony.py`."""

from trainwright_templates.parse.harmony import Harmony

FORMAT = Harmony()
