"""Read before any test.

Triton decides at its first import, whoever imports it, whether kernels are interpreted. A shell starts what runs in the
background without Ctrl-C, and processes hand that down: tests that send it would wait for ever.
"""

from __future__ import annotations

import os
import signal

import torch

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
