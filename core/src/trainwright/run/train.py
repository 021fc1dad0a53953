"""One run, from a checked config to a trained model; `train` starts it, `resume` continues it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainwright.config.check import CheckedConfig
from trainwright.run.folder import RunFolder

if TYPE_CHECKING:
    from trainwright.plugins.manager import PluginManager
    from trainwright.run.answers import Answers
    from trainwright.run.assemble import Ingredients
    from trainwright.run.result import RunResult


_log = logging.getLogger(__name__)


def train(
    checked: CheckedConfig,
    manager: PluginManager,
    *,
    run: RunFolder | None = None,
    checkpoint: Path | None = None,
    allow_drift: bool = False,
) -> RunResult:
    """Train what a config says.

    Args:
        checked: The checked config.
        manager: The plugins, found and loaded.
        run: The folder of a run to continue; None starts one in `output:`.
        checkpoint: The sealed checkpoint to continue from.
        allow_drift: Continue although packages, plugins, data or the template have changed.

    Returns:
        What the run yielded, the folder included.

    Raises:
        TrainwrightError: Anything that keeps the run from starting or finishing; a run that never took a step leaves
            nothing behind.
    """
    _set_environment(checked)
    from trainwright.config.resolved import dump_resolved
    from trainwright.run.log import run_log

    with ExitStack() as stack:
        keep = _nothing
        resumed = run is not None
        if run is None:
            run = RunFolder.claim(checked.config.output, dump_resolved(checked.config))
            keep = stack.enter_context(run.provisional())
        stack.enter_context(run_log(run.log))
        return _Run(checked, manager, run).go(keep, checkpoint if resumed else None, resumed, allow_drift)


def _nothing() -> None:
    """A run that is continued keeps its folder whatever happens."""


def _set_environment(checked: CheckedConfig) -> None:
    """What the hub client and TRL read when they are imported."""
    if not checked.config.telemetry:
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


class _Run:
    """The steps of one run; what they share."""

    def __init__(self, checked: CheckedConfig, manager: PluginManager, run: RunFolder) -> None:
        self.checked = checked
        self.config = checked.config
        self.manager = manager
        self.run = run
        self.start = time.perf_counter()

    def go(self, keep: Callable[[], None], checkpoint: Path | None, resumed: bool, allow_drift: bool) -> RunResult:
        from trainwright.run.assemble import gather

        ingredients = gather(self.checked, self.manager, self.run)
        with ExitStack() as stack:
            if ingredients.environment.close is not None:
                stack.callback(ingredients.environment.close)
            return self._go(ingredients, keep, checkpoint, resumed, allow_drift)

    def _go(
        self,
        ingredients: Ingredients,
        keep: Callable[[], None],
        checkpoint: Path | None,
        resumed: bool,
        allow_drift: bool,
    ) -> RunResult:
        from transformers import set_seed

        from trainwright.model.load import load_model
        from trainwright.plugins.agreement import agree
        from trainwright.run.assemble import assemble
        from trainwright.run.callbacks import watch
        from trainwright.run.files import main_process
        from trainwright.run.result import write_answers

        agree(self.manager)
        self._tell_labels(ingredients)
        self._record(ingredients, resumed, checkpoint, allow_drift)
        set_seed(ingredients.args.seed)
        model = load_model(self.config.model, self.config, lora=self.config.lora, method=self.checked.method)
        trainer = assemble(self.checked, self.manager, ingredients, model, self.run)
        before = None if checkpoint else self._answer(trainer, ingredients)
        if before is not None and main_process():
            write_answers(self.run, before)

        with watch(trainer, self.run, started=keep) as interrupt:
            trainer.train(resume_from_checkpoint=checkpoint)
        return self._finish(trainer, ingredients, before, interrupt.interrupted)

    def _tell_labels(self, ingredients: Ingredients) -> None:
        """Where the labels of the data were unknown until now: ask the plugins' rules again."""
        from trainwright.config.check import check_again
        from trainwright.data.unpaired import count_labels
        from trainwright.run.files import main_process

        if self.checked.method.batch != "unpaired" or self.config.labels("data.train") is not None:
            return
        labels = count_labels(ingredients.train)
        if labels is None:
            return
        self.config.note_labels("data.train", labels)
        warnings = check_again(self.checked, self.manager)
        if main_process():
            _log.info("data.train: %s", labels)
            for warning in warnings:
                _log.warning("%s", warning)

    def _record(self, ingredients: Ingredients, resumed: bool, checkpoint: Path | None, allow_drift: bool) -> None:
        """Write the manifest, or compare it with what the run depends on now."""
        from trainwright.plugins.explain import choices_of
        from trainwright.run.files import main_process
        from trainwright.run.manifest import build_manifest, write_manifest
        from trainwright.run.resume import admit

        manifest = build_manifest(
            self.config,
            hooks=self.manager.explain(*choices_of(self.config)).as_dict()["hooks"],
            template=ingredients.template_sha256,
            data=self._fingerprints(ingredients),
            seeds={"seed": ingredients.args.seed, "data_seed": ingredients.args.data_seed},
        )
        if resumed:
            admit(self.run, manifest, checkpoint, allow_drift=allow_drift)
        elif main_process():
            write_manifest(self.run.manifest, manifest)

    def _fingerprints(self, ingredients: Ingredients) -> dict[str, Any]:
        from trainwright.data.load import fingerprint

        data = self.config.data
        sources = {"train": data.train, "eval": data.eval} if data else {}
        if self.config.answers:
            sources["answers"] = self.config.answers.data
        known = {name: fingerprint(source, self.config) for name, source in sources.items() if source is not None}
        identity = ingredients.environment.identity
        return known | ({"environment": dict(identity)} if identity else {})

    def _answer(self, trainer: Any, ingredients: Ingredients) -> Answers | None:
        from trainwright.run.answers import answer

        if self.config.answers is None:
            return None
        model = trainer.accelerator.unwrap_model(trainer.model)
        return answer(model, ingredients.processing_class, self.config.answers, self.config)

    def _finish(self, trainer: Any, ingredients: Ingredients, before: Answers | None, interrupted: bool) -> RunResult:
        from trainwright.run.disk import writing
        from trainwright.run.result import finish

        after = None
        if not interrupted:
            with writing("the model", self.run):
                trainer.save_model(str(self.run.model))
            after = self._answer(trainer, ingredients)
        return finish(trainer, self.run, before=before, after=after, interrupted=interrupted, start=self.start)
