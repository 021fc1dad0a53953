"""A run's trainer from a config file; `python reference_runs.py CONFIG FOLDER [DIE_AFTER]` makes one in a process.

With `DIE_AFTER` the process ends without a word when so many shards are written.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any


def make(config: Path, folder: Path) -> Any:
    from trainwright.config.check import check_config
    from trainwright.config.load import load_config
    from trainwright.model.load import load_model
    from trainwright.plugins.manager import PluginManager
    from trainwright.run.assemble import assemble, gather
    from trainwright.run.folder import RunFolder

    manager = PluginManager.discover().load()
    checked = check_config(load_config(config), manager)
    folder.mkdir(exist_ok=True)
    run = RunFolder(folder)
    ingredients = gather(checked, manager, run)
    model = load_model(checked.config.model, checked.config, lora=checked.config.lora, method=checked.method)
    return assemble(checked, manager, ingredients, model, run)


def reference_logps(trainer: Any, size: int = 3) -> dict[str, list[Any]]:
    """Part → log-probabilities of each micro-batch as a loss of the run sees them, of all rows in order."""
    from trainwright.loss.supervision import KEY, Supervision

    found: dict[str, list[Any]] = {"own": [], "mismatched": []}
    for dataset in (trainer.train_dataset, trainer.eval_dataset):
        rows = [dataset[index] for index in range(len(dataset))]
        for start in range(0, len(rows), size):
            batch = trainer.data_collator(rows[start : start + size])
            supervision = Supervision.unpack(batch.pop(KEY))
            handle = trainer._handle(trainer.model, batch, supervision, {}, "reference")
            found["own"].append(handle.token_logps().logps)
            if supervision.mismatched is not None:
                found["mismatched"].append(handle.mismatched.token_logps().logps)
    return found


def die_after(shards: int) -> None:
    """Every batch becomes a shard; after so many the process is gone."""
    from trainwright.reference import compute, entry

    compute.SHARD_SECONDS = 0.0
    left = [shards]
    write = entry.write_shard

    def count(*args: Any) -> None:
        write(*args)
        left[0] -= 1
        if not left[0]:
            os._exit(9)

    entry.write_shard = count


def fail() -> None:
    """The first shard cannot be written."""
    from trainwright.reference import entry

    def refuse(*args: Any) -> None:
        raise OSError(28, "planted")

    entry.write_shard = refuse


if __name__ == "__main__":
    if "FAIL" in os.environ:
        fail()
    if len(sys.argv) > 3:
        die_after(int(sys.argv[3]))
    make(Path(sys.argv[1]), Path(sys.argv[2]))
