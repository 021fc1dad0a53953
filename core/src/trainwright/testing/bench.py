"""Steps of a loss through a real trainer, with the gradients kept: what `LossContract` compares.

outcome = one_step(Case(loss="chunked_nll", rows=8, per_device=2, accumulate=4))
"""

from __future__ import annotations

import copy
import os
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

DATA_KIND = {"labels": "messages", "pairs": "pairs", "unpaired": "unpaired", "rollouts": "prompts"}


@dataclass(frozen=True)
class Case:
    """What is trained, and how its rows are cut into micro-batches.

    Attributes:
        loss: The loss plugin's name, or its function; or several losses, as a config lists them.
        method: The training method.
        settings: The plugin's settings, unchecked.
        family: A family of `trainwright.testing.tiny_model`.
        dtype: Dtype of the parameters, a name in torch.
        data: Rows of data; default ragged conversations.
        rows: Number of rows, all used in the one step.
        per_device: Rows of a micro-batch.
        accumulate: Micro-batches of the step, on each rank.
        peft: Keywords of `peft.LoraConfig`, or of the config class that `peft_type` names.
        peft_type: A config class of peft.
        training: Further fields of TRL's config class.
        edit: Called with the model before training.
        wrap: Called with the trainer before training.
        reference_seed: Seed of the reference model of methods that have one.
    """

    loss: str | Callable[..., Any] | Sequence[str | Mapping[str, Any]]
    method: str = "sft"
    settings: Mapping[str, Any] = field(default_factory=dict)
    family: str = "llama"
    dtype: str = "float32"
    data: Sequence[Mapping[str, Any]] | None = None
    rows: int = 8
    per_device: int = 8
    accumulate: int = 1
    peft: Mapping[str, Any] | None = None
    peft_type: str = "LoraConfig"
    training: Mapping[str, Any] = field(default_factory=dict)
    edit: Callable[[Any], None] | None = None
    wrap: Callable[[Any], None] | None = None
    reference_seed: int = 1


@dataclass(frozen=True)
class Outcome:
    """What one step yielded.

    Attributes:
        loss: The loss that was logged, a mean over all ranks.
        gradients: Parameter name → gradient before clipping, as the optimizer would see it.
        history: Everything that was logged, one entry a log event.
    """

    loss: float
    gradients: dict[str, Any]
    history: list[dict[str, float]]


def one_step(case: Case) -> Outcome:
    """Train one step with learning rate 0 (or what `case.training` says) and return its loss and gradients."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = _trainer(case, Path(folder))
        keeper = _keeper()
        trainer.add_callback(keeper)
        if case.wrap:
            case.wrap(trainer)
        losses = _keep_losses(trainer)
        trainer.train()
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    alone = trainer.accelerator.num_processes == 1
    return Outcome(sum(losses) if alone else history[0]["loss"], keeper.gradients, history)


def _keep_losses(trainer: Any) -> list[float]:
    """The losses of the micro-batches in full precision; the log rounds their sum to float32."""
    losses: list[float] = []
    training_step = trainer.training_step

    def step(*args: Any, **kwargs: Any) -> Any:
        loss = training_step(*args, **kwargs)
        losses.append(loss.item())
        return loss

    trainer.training_step = step
    return losses


def _keeper() -> Any:
    from transformers import TrainerCallback

    class Keeper(TrainerCallback):  # type: ignore[misc]
        gradients: dict[str, Any]

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **rest: Any) -> None:
            named = ((name.removeprefix("module."), p) for name, p in model.named_parameters())
            self.gradients = {name: p.grad.detach().clone() for name, p in named if p.grad is not None}

    return Keeper()


def _trainer(case: Case, folder: Path) -> Any:
    from datasets import Dataset

    from trainwright.reference.precompute import Precomputation
    from trainwright.run.folder import RunFolder
    from trainwright.testing import tiny_dataset, tiny_processing_class
    from trainwright.trainer.bind import make_trainer, training_arguments
    from trainwright.trainer.methods import METHODS

    method = METHODS[case.method]
    rows = case.data if case.data is not None else tiny_dataset(DATA_KIND[method.batch], case.rows)
    values: dict[str, Any] = {
        "max_steps": 1,
        "learning_rate": 0.0,
        "max_grad_norm": 0.0,
        "logging_steps": 1,
        "save_strategy": "no",
        "per_device_train_batch_size": case.per_device,
        "gradient_accumulation_steps": case.accumulate,
        "use_cpu": True,
        "bf16": False,
        **case.training,
    }
    model = _model(case)
    keywords: dict[str, Any] = {"peft_config": _peft(case), "ref_model": _reference(case)}
    if method.batch == "rollouts":
        keywords["reward_funcs"] = [_length_reward]
    run = RunFolder(folder)
    return make_trainer(
        replace(binding(case), precomputation=Precomputation(cache=folder)),
        run,
        model=model,
        args=training_arguments(method, values, run.checkpoints),
        train_dataset=Dataset.from_list([dict(row) for row in rows]),
        processing_class=tiny_processing_class(case.family),
        **keywords,
    )


def _length_reward(completions: Sequence[Any], **columns: Any) -> list[float]:
    return [float(len(str(completion)) % 7) for completion in completions]


def binding(case: Case) -> Any:
    """The binding of a case's loss: a function's, or that of one or several installed plugins."""
    from trainwright.config.models import LossTerm
    from trainwright.loss.mix import make_mix
    from trainwright.plugins.manager import PluginManager
    from trainwright.run.assemble import asks_mismatched
    from trainwright.trainer.hooked import Binding
    from trainwright.trainer.methods import METHODS

    if callable(case.loss):
        return Binding(METHODS[case.method], case.loss, native=False)
    manager = PluginManager.discover().load()
    if not isinstance(case.loss, str):
        terms = [LossTerm.model_validate(term) for term in case.loss]
        settings = [_settings(manager, term.name, term.settings) for term in terms]
        return Binding(METHODS[case.method], make_mix(manager, terms, settings), native=False)
    slot, settings = manager.slot("compute_loss", case.loss), _settings(manager, case.loss, case.settings)
    return Binding(METHODS[case.method], slot, case.loss == "trl", settings, mismatched=asks_mismatched([settings]))


def _settings(manager: Any, name: str, values: Mapping[str, Any]) -> Any:
    model = manager.provider("compute_loss", name).settings_model
    return model(**values) if model else None


def _model(case: Case) -> Any:
    import torch

    from trainwright.testing import tiny_model

    torch.manual_seed(0)
    model = tiny_model(case.family, dtype=getattr(torch, case.dtype))
    if case.edit:
        case.edit(model)
    return model


def _reference(case: Case) -> Any:
    """Another model than the policy, so that margins are not zero; PEFT takes the policy without its adapter."""
    import torch

    from trainwright.testing import tiny_model
    from trainwright.trainer.methods import METHODS

    if METHODS[case.method].batch not in ("pairs", "unpaired") or case.peft is not None:
        return None
    return tiny_model(case.family, seed=case.reference_seed, dtype=getattr(torch, case.dtype))


def _peft(case: Case) -> Any:
    if case.peft is None:
        return None
    import peft

    return getattr(peft, case.peft_type)(task_type="CAUSAL_LM", **copy.deepcopy(dict(case.peft)))


def on_ranks(cases: Sequence[Case], world: int = 2) -> list[Outcome]:
    """Run cases on several gloo processes of this machine; the outcomes are rank 0's, gradients already averaged."""
    import torch
    from torch.multiprocessing.spawn import spawn

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "outcomes.pt"
        rank = partial(_rank, world=world, port=_free_port(), cases=list(cases), file=str(file))
        spawn(rank, nprocs=world)  # type: ignore[no-untyped-call]
        outcomes: list[Outcome] = torch.load(file, weights_only=False)
    return outcomes


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _rank(rank: int, *, world: int, port: int, cases: list[Case], file: str) -> None:
    import torch

    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )  # fmt: skip
    torch.set_num_threads(1)
    outcomes = [one_step(case) for case in cases]
    if rank == 0:
        torch.save(outcomes, file)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
