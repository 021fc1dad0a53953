"""Two processes make the same vocabularies and the same logits, whatever their hash seeds are."""

from __future__ import annotations

import os
import subprocess
import sys

CODE = """
import hashlib, json, torch
from trainwright.testing import FAMILIES, tiny_dataset, tiny_model, tiny_tokenizer
torch.set_num_threads(1)
digest = hashlib.sha256()
for family in FAMILIES:
    tokenizer = tiny_tokenizer(family)
    ids = tokenizer(tiny_dataset("text", 1)[0]["text"], return_tensors="pt").input_ids
    digest.update(json.dumps(sorted(tokenizer.get_vocab().items())).encode())
    with torch.no_grad():
        digest.update(tiny_model(family)(input_ids=ids).logits.numpy().tobytes())
print(digest.hexdigest())
"""


def test_two_processes_agree():
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", CODE],
            env={**os.environ, "PYTHONHASHSEED": seed, "HF_HUB_OFFLINE": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    outputs = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert outputs[0] == outputs[1] != ""
