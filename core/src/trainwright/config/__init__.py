"""The config of a run: read (`load`), checked against everything that is installed (`check`), described (`schema`)."""

from trainwright.config.models import RunConfig

__all__ = ["RunConfig"]
