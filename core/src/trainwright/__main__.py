"""`python -m trainwright` is the command `trainwright`."""

from __future__ import annotations

import sys

from trainwright.cli import main

if __name__ == "__main__":
    sys.exit(main())
