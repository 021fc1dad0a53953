"""Keep third-party noise off stderr: what importing transformers, TRL and their kin has to say to their developers."""

from __future__ import annotations

import logging
import os
import sys
import warnings

_LOGGERS = ("accelerate", "bitsandbytes", "datasets", "huggingface_hub", "peft", "torch", "transformers", "trl")
_SWITCHES = {
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "DATASETS_VERBOSITY": "error",
    "HF_HUB_VERBOSITY": "error",
    "TRL_EXPERIMENTAL_SILENCE": "1",
}
_BARS = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
"""Bars of downloads, of tokenisation and of loading weights: welcome on a terminal, litter in a log."""


def quiet(verbose: bool = False) -> None:
    """Silence warnings and chatty loggers below ERROR; call before the first heavy import.

    What the user asked for stays: `--verbose`, `python -W` or `PYTHONWARNINGS`, and the libraries' own switches in the
    environment.
    """
    if verbose:
        return
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    for name, value in (_SWITCHES if sys.stderr.isatty() else _SWITCHES | _BARS).items():
        os.environ.setdefault(name, value)
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
