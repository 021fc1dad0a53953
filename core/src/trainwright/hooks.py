"""The five hooks, and what passes through them. A plugin implements one or more of these functions.

| hook              | kind      | asked                          | answers                                        |
|-------------------|-----------|--------------------------------|------------------------------------------------|
| `compute_loss`    | slot      | each micro-batch               | the loss and its metrics                       |
| `build_env`       | slot      | once a run (GRPO and its kin)  | data set, environment factory, reward functions|
| `chat_template`   | slot      | once a run                     | how conversations become tokens and masks      |
| `metrics`         | broadcast | each log event                 | extra numbers to log                           |
| `validate_config` | broadcast | before anything is loaded      | problems found                                 |

A **slot** has exactly one provider, looked up by the name that the config gives (`loss: chunked_nll`). Other active
plugins may wrap it with `@hookimpl(wrapper=True)`; the first by (distribution, name) is outermost, unless one says
`tryfirst` or `trylast`. A config may list several losses, which are added up by weight: each is a call of the slot with
its own provider. A **broadcast** asks every active plugin, ordered by (distribution, name), keeps the origin of each
answer, and cannot be wrapped.

A plugin is a module (or any object) that holds functions marked with `@hookimpl`, named in its package's metadata:

    [project.entry-points."trainwright.v1.compute_loss"]     # one group for each hook that it implements
    simpo = "my_package"                                      # the name that a config uses = the module

Beside its hooks, a plugin's object may define:

* `Settings`: a `PluginSettings` model of the keys that may stand beside `name` in the config;
* `methods`: the training methods that its loss serves, e.g. `frozenset({"dpo"})`; absent means all;
* `reference_free`: `True` where its loss never asks for `ctx.reference`, so that no reference model is loaded.

What depends on its settings `Settings` says: a loss for `kto` that, with these, never asks for mismatched rows, defines
the property `asks_mismatched` as `False`, so that none are made.

Keep that module light (import torch inside the functions, or in a module of its own): `trainwright validate` imports
it. An implementation may take fewer parameters than the specification, never others. Hooks grow by new parameters only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from datasets import Dataset

    from trainwright.config import RunConfig
    from trainwright.errors import Problem
    from trainwright.loss.context import Loss, LossContext

API_VERSION = 1
PROJECT = "trainwright"
SLOTS = ("compute_loss", "build_env", "chat_template")
BROADCASTS = ("metrics", "validate_config")
HOOKS = SLOTS + BROADCASTS

_Function = TypeVar("_Function", bound=Callable[..., Any])
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class PluginSettings(BaseModel):
    """Base of a plugin's settings model: unknown keys are errors, values are frozen once checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def asks_mismatched(self) -> bool:
        """Whether a loss of the method `kto` asks for `mismatched` rows; they are made, and precomputed, only then."""
        return True


# ── compute_loss ─────────────────────────────────────────────────────────────────────────────────────────────────────


@hookspec(firstresult=True)
def compute_loss(ctx: LossContext) -> Loss:  # type: ignore[empty-body]
    """Return the loss of one micro-batch.

    Since: API version 1.
    Kind: slot, chosen by `loss:`.
    When: each micro-batch of training and of evaluation, on every rank, inside autocast.

    Args:
        ctx: The batch, the policy, the reference and teacher models, and this plugin's checked `settings`.
            See `trainwright.loss.context.LossContext`.

    Returns:
        What `ctx.loss(values, per=...)` makes: per-unit values (not yet averaged) and the unit they are counted in
        (`token`, `chosen_token`, `sequence` or `pair`). Core divides by that unit's count over the accumulation window
        and all ranks.
    """


# ── build_env ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class EnvSpec:
    """What a run asks of an environment.

    Attributes:
        method: The training method (`grpo`, `rloo`).
        settings: The plugin's checked settings, or an empty `PluginSettings`.
        folder: The folder that relative paths in the config are relative to.
        seed: The run's seed.
        vision: Whether the model takes images.
    """

    method: str
    settings: Any
    folder: Path
    seed: int
    vision: bool = False


@dataclass(frozen=True)
class Environment:
    """What a method with rollouts trains against; unset fields fall back to the config's.

    Attributes:
        dataset: Rows with at least a `prompt` column; replaces `data.train`.
        reward_functions: Called as TRL calls them:
            `f(prompts=[...], completions=[...], **columns) -> list[float | None]`.
        environment_factory: Makes one environment an episode; its public methods are the model's tools. Several by
            name, where the rows have a column `environment`. What it may offer for episodes to run side by side, and
            for tools that differ by task: `trainwright.trainer.episodes`.
        tools: Plain functions that the model may call.
        eval_dataset: Rows to evaluate on; replaces `data.eval`.
        calls_tools: False where the model never calls tools, so that its chat template need not know of them.
        identity: What identifies the environment and its tasks: plain values for the manifest, compared when the run
            is resumed.
        close: Called once when the run ends, whichever way.
    """

    dataset: Dataset | None = None
    reward_functions: Sequence[Callable[..., list[float | None]]] = ()
    environment_factory: Callable[[], object] | Mapping[str, Callable[[], object]] | None = None
    tools: Sequence[Callable[..., Any]] = ()
    eval_dataset: Dataset | None = None
    calls_tools: bool = True
    identity: Mapping[str, Any] = field(default_factory=dict)
    close: Callable[[], None] | None = None


@hookspec(firstresult=True)
def build_env(spec: EnvSpec) -> Environment:  # type: ignore[empty-body]
    """Return the environment that a method with rollouts trains against.

    Since: API version 1.
    Kind: slot, chosen by `env:`.
    When: once a run, on every rank, after the config is checked and before the model is loaded.

    Args:
        spec: The method, this plugin's checked settings, the folder of the config and the seed.

    Returns:
        An `Environment`.
    """


# ── chat_template ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class TemplateRequest:
    """What a run asks of a chat template.

    Attributes:
        method: The training method.
        processing_class: The tokenizer or processor, with the model's own chat template.
        settings: The plugin's checked settings.
        folder: The folder that relative paths in the config are relative to.
        assistant_only: Whether only what the assistant says may carry loss.
        stops: Texts of the tokens that end a turn, as the model's generation config and its tokenizer name them.
    """

    method: str
    processing_class: Any
    settings: Any
    folder: Path
    assistant_only: bool = False
    stops: Sequence[str] = ()


@dataclass(frozen=True)
class Tokens:
    """One conversation as it will be trained on.

    Attributes:
        input_ids: Token ids, `[S]`.
        supervised: Whether each token carries loss, `[S]`, 0 or 1.
        notes: What a person should know of it (what the template drops, a stop token that was added), each as
            `kind: detail`; notes are counted by their kind.
    """

    input_ids: list[int]
    supervised: list[int]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TemplateReport:
    """How a provider came to its answer, for `explain` and `template show`.

    Attributes:
        step: What resolved the template, in a word or two (`family qwen3`, `generated`, `derived`).
        reasons: Why that and not another, one sentence each, in the order in which things were tried.
        probes: Makes rows of data (`messages`, `tools`) to check the template on where there are no data; None: none.
    """

    step: str
    reasons: tuple[str, ...] = ()
    probes: Callable[[], Mapping[str, Mapping[str, Any]]] | None = None


@dataclass(frozen=True)
class TemplateAnswer:
    """How conversations become tokens and masks.

    Attributes:
        chat_template: A Jinja template that replaces the model's own; None keeps it.
        tokenize: `(messages, tools, **template_kwargs) -> Tokens`; None leaves it to TRL, which needs a template with
            `{% generation %}` markers where `assistant_only` is asked.
        source: Where the answer comes from, for `explain` and the manifest.
        prompt: `(messages, tools, **template_kwargs) -> ids` of a prompt, its generation prompt included, as `tokenize`
            would begin; None leaves prompts to TRL.
        training_template: The template with `{% generation %}` markers that give the same mask, for other programs;
            None where there is none.
        parse: `(text, *, tools, prefix) -> message`: what the model wrote, special tokens included, as an assistant
            message (`content`, `tool_calls`, …); `prefix` is the prompt's text. It never raises. None leaves it to TRL.
        tool_suffix: `(tool_messages, tools, **template_kwargs) -> ids` that stand between an assistant turn that calls
            tools and the next: the tools' results and the generation prompt. None leaves it to TRL.
        report: How the provider came to this answer.
    """

    chat_template: str | None = None
    tokenize: Callable[..., Tokens] | None = None
    source: str = ""
    prompt: Callable[..., list[int]] | None = None
    training_template: str | None = None
    parse: Callable[..., dict[str, Any]] | None = None
    tool_suffix: Callable[..., list[int]] | None = None
    report: TemplateReport | None = None


@hookspec(firstresult=True)
def chat_template(request: TemplateRequest) -> TemplateAnswer:  # type: ignore[empty-body]
    """Return how this model's conversations become tokens and masks.

    Since: API version 1.
    Kind: slot, chosen by `template:` (default `auto`).
    When: once a run, on every rank, after the tokenizer is loaded and before the data set is tokenised.

    Args:
        request: The method, the tokenizer or processor, this plugin's checked settings.

    Returns:
        A `TemplateAnswer`.

    Raises:
        TrainwrightError: Where no mask can be derived and verified; never a guess.
    """


# ── metrics ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class LogStep:
    """One log event of training.

    Attributes:
        step: Optimizer steps done.
        logs: The numbers logged so far at this event, reduced over ranks.
        tokens: Tokens processed since the last event, all ranks (padding excluded).
        seconds: Wall-clock seconds since the last event, evaluation and checkpoints excluded.
        sequence_length: Mean length of the sequences since the last event, in tokens.
        world_size: Number of ranks.
        settings: This plugin's checked settings.
        trainer: The TRL trainer (an escape hatch: its attributes change between TRL's versions).
    """

    step: int
    logs: Mapping[str, float]
    tokens: int
    seconds: float
    sequence_length: float
    world_size: int
    settings: Any = None
    trainer: Any = field(default=None, repr=False)


@hookspec
def metrics(step: LogStep) -> Mapping[str, float]:  # type: ignore[empty-body]
    """Return extra numbers to log.

    Since: API version 1.
    Kind: broadcast, to the plugins that `metrics:` names, in that order.
    When: each log event of training, on rank 0 only; a device-to-host copy here stalls once a log event, not each step.

    Args:
        step: The log event.

    Returns:
        Name → value. A name that another plugin or the trainer gave already is an error that names both. Durations and
        speeds (`…_time`, `…_per_second`) stand in `metrics.jsonl` below `time/`.
    """


# ── validate_config ──────────────────────────────────────────────────────────────────────────────────────────────────


@hookspec
def validate_config(config: RunConfig) -> Iterable[Problem]:  # type: ignore[empty-body]
    """Return what is wrong with a config.

    Since: API version 1.
    Kind: broadcast.
    When: by `validate` and before every run, before any model, data set or GPU is touched; and once more in a run when
        its data are loaded, where they tell what the check could not know (the labels of a hub data set). What was said
        before is not said again.

    Args:
        config: The checked config. `config.where("training.learning_rate")` gives a key's `file:line: key`, and
            `config.labels("data.train")` the numbers of desirable and undesirable rows, or None while unknown.

    Returns:
        Problems, each with its place and remedy; nothing where all is well. One that is marked `fatal=False` is a
        warning: it is shown, and the run goes on.
    """
