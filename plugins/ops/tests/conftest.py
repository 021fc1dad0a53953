from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))  # `ops_problems`, under pytest's importlib mode
if not torch.cuda.is_available():  # read when triton is first imported
    os.environ.setdefault("TRITON_INTERPRET", "1")
