"""Reference log-probabilities before training: taken from the cache, or computed once and kept there.

A run with `training.precompute_ref_log_probs: true` asks for them when its trainer is made. All ranks share the work
and the result; of several processes that want the same, one computes and the others wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainwright.data.load import quietly
from trainwright.errors import RunError
from trainwright.reference.batches import plan_batches, share, token_budget
from trainwright.reference.collate import ROW, Tables, WithReference
from trainwright.reference.compute import compute
from trainwright.reference.entry import Entry
from trainwright.reference.identity import parameters_identity, processing_identity
from trainwright.reference.parts import OWN, Part, parts_of
from trainwright.reference.plan import How
from trainwright.reference.progress import Progress, say
from trainwright.reference.rows import Rows, scan
from trainwright.reference.runner import Runner
from trainwright.reference.table import Table
from trainwright.run.files import main_process
from trainwright.run.ranks import Ranks
from trainwright.trainer import private

_WAIT = 2.0  # seconds between looks at a lock that another process holds


@dataclass(frozen=True)
class Precomputation:
    """What the reference log-probabilities of a run are computed with.

    Attributes:
        how: How the policy serves as the reference, before it is trained.
        load: Loads the reference as a model of its own; None where the policy, or the trainer's `ref_model`, serves.
        load_sharded: Loads it where the policy is sharded, and does not run before training.
        identity: What identifies the reference; None: the content of the parameters.
        depends_on: What else the log-probabilities depend on, as JSON values.
        cache: Where they are kept; default the user's cache.
    """

    how: How = "adapter off"
    load: Callable[[], Any] | None = None
    load_sharded: Callable[[], Any] | None = None
    identity: Mapping[str, Any] | None = None
    depends_on: Mapping[str, Any] = field(default_factory=dict)
    cache: Path | None = None


def precompute(trainer: Any, wanted: Precomputation) -> None:
    """Give a trainer's data their reference log-probabilities; afterwards no reference model is in memory.

    Args:
        trainer: A hooked trainer of a method with preferences, before training.
        wanted: What they are computed with.

    Raises:
        RunError: They cannot be computed of these data, or not be kept.
    """
    splits = _splits(trainer)
    work = _Work(trainer, wanted)
    try:
        tables = Tables([work.tables(key, dataset) for key, dataset in splits.items()])
    finally:
        work.runner.close()
    _attach(trainer, tables, splits)


def _splits(trainer: Any) -> dict[str, Any]:
    """Dotted key → data set.

    Raises:
        RunError: Rows that cannot be numbered.
    """
    from datasets import Dataset

    found = {"data.train": trainer.train_dataset, "data.eval": trainer.eval_dataset}
    splits = {key: dataset for key, dataset in found.items() if dataset is not None}
    off = "Set `training.precompute_ref_log_probs: false`."
    for key, dataset in splits.items():
        if not isinstance(dataset, Dataset):
            raise RunError("the rows of a stream cannot be precomputed", where=key, remedy=off)
    return splits


def _attach(trainer: Any, tables: Tables, splits: Mapping[str, Any]) -> None:
    """Number the rows, and have the collator look them up."""
    with quietly():
        numbered = {
            key: dataset.add_column(ROW, np.arange(len(dataset)) + tables.start(index))
            for index, (key, dataset) in enumerate(splits.items())
        }
    trainer.train_dataset, trainer.eval_dataset = numbered["data.train"], numbered.get("data.eval")
    trainer.data_collator = WithReference(trainer.data_collator, tables, native=trainer.binding.native)
    private.expect_precomputed(trainer)


class _Work:
    """Makes the tables of a run's data sets."""

    def __init__(self, trainer: Any, wanted: Precomputation) -> None:
        self.runner = Runner(trainer, wanted.how, wanted.load, wanted.load_sharded)
        self._trainer, self._args = trainer, trainer.args
        self._kind: str = trainer.binding.method.batch
        self._ranks = Ranks()
        self._cache = wanted.cache
        self._depends_on = {
            "model": dict(wanted.identity or parameters_identity(self.runner.unnamed)),
            "autocast": trainer.accelerator.mixed_precision,
            "max_length": self._args.max_length,
            "truncation_mode": getattr(self._args, "truncation_mode", "keep_start"),
            **wanted.depends_on,
        }

    def tables(self, key: str, dataset: Any) -> dict[Part, Table]:
        """The tables of the parts that a data set's batches have."""
        parts = parts_of(self._kind, dataset.column_names)
        return {part: self._table(key, dataset, part) for part in parts}

    def _table(self, key: str, dataset: Any, part: Part) -> Table:
        rows = scan(dataset, self._read(dataset, part))
        depends_on = {**self._depends_on, "part": part.name, "data": rows.sha256}
        if rows.lengths is None:
            depends_on["processor"] = processing_identity(self._trainer.processing_class)
        entry = Entry(depends_on, part.columns, len(dataset), self._cache)
        name = f"reference log-probs of {key}" + (f" ({part.name})" if part.name != OWN else "")
        with self._locked(entry, name):
            if self._ranks.from_first(entry.is_whole):
                say(f"{name}: {entry.rows:,} rows from {entry.folder}")
            else:
                missing = self._ranks.from_first(entry.begin)
                self._together(partial(self._compute, dataset, part, entry, name, rows, missing))
                self._ranks.from_first(entry.finish)
        return entry.table()

    def _read(self, dataset: Any, part: Part) -> Sequence[str]:
        """The columns that a part depends on: its own tokens, or all that the collator reads of rows with images."""
        present = dataset.column_names
        if set(part.reads) <= set(present):
            return part.reads
        self._trainer._set_signature_columns_if_needed()
        kept = set(self._trainer._signature_columns) - {"label", ROW, part.ignores}
        return [name for name in present if name in kept]

    @contextmanager
    def _locked(self, entry: Entry, name: str) -> Iterator[None]:
        """Within it, the entry is this run's."""
        told = False
        while not self._ranks.any(main_process() and entry.acquire(_WAIT if told else 0)):
            if not told:
                say(f"{name}: another process is computing them; waiting for it")
            told = True
        try:
            yield
        finally:
            entry.release()

    def _together(self, action: Callable[[], None]) -> None:
        """Do something on every rank; where it fails on any, fail on all."""
        failure: Exception | None = None
        try:
            action()
        except Exception as error:
            failure = error
        if self._ranks.any(failure is not None):
            raise failure or RunError("another rank could not compute its reference log-probabilities")

    def _compute(
        self, dataset: Any, part: Part, entry: Entry, name: str, rows: Rows, missing: NDArray[np.int64]
    ) -> None:
        ranks = self._args.world_size
        batches, counted = share(self._batches(rows, entry, part, missing), self._args.process_index, ranks)
        progress = Progress(name, entry.rows, entry.rows - len(missing), ranks)
        with self.runner.running() as (model, device), progress.showing():
            compute(
                model,
                device,
                self._collated(dataset, batches),
                batches,
                counted,
                part=part,
                kind=self._kind,
                write=entry.add,
                progress=progress,
            )

    def _batches(self, rows: Rows, entry: Entry, part: Part, missing: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        asked, trained = self._args.precompute_ref_batch_size, self._args.per_device_train_batch_size
        if rows.lengths is None:  # a row's length is known when its images are: as many rows at once as in training
            return plan_batches(np.ones(entry.rows, dtype=np.int64), missing, asked or trained)
        lengths = np.minimum(rows.lengths, self._args.max_length or rows.lengths.max()) * len(part.columns)
        return plan_batches(lengths, missing, token_budget(int(lengths.max()), asked=asked, trained=trained))

    def _collated(self, dataset: Any, batches: list[NDArray[np.int64]]) -> Iterator[dict[str, Any]]:
        import torch
        from torch.utils.data import DataLoader

        return iter(
            DataLoader(
                dataset,
                batch_sampler=[batch.tolist() for batch in batches],
                collate_fn=self._trainer.data_collator,
                generator=torch.Generator(),  # training's own random numbers are the same whether it runs or not
                num_workers=self._args.dataloader_num_workers,
                pin_memory=self._args.dataloader_pin_memory and self._trainer.accelerator.device.type == "cuda",
            )
        )
