"""From a checked config to a trainer: the ingredients, in the order in which they depend on each other.

    arguments ─ processing class ─ template ─ environment ─ data ─ model ─ trainer

`preview` uses all but the model, so what it shows is what is trained on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainwright.config.check import CheckedConfig
from trainwright.errors import RunError
from trainwright.hooks import Environment, EnvSpec, TemplateAnswer, TemplateRequest
from trainwright.run.extra_metrics import metrics_caller
from trainwright.trainer.hooked import Binding

if TYPE_CHECKING:
    from trainwright.config.models import RunConfig
    from trainwright.loss.context import Loss
    from trainwright.plugins.manager import PluginManager
    from trainwright.reference.supply import ReferenceSupply
    from trainwright.run.folder import RunFolder
    from trainwright.template.totals import Totals


@dataclass(frozen=True)
class Ingredients:
    """What a trainer is made of, but for the model.

    Attributes:
        args: An instance of TRL's config class.
        processing_class: The tokenizer or processor, with the template that the run uses.
        template: How conversations become tokens.
        environment: What the method's rollouts run against; empty for other methods.
        train: The training data, tokenised where the template says how.
        eval: The evaluation data, or None.
        totals: What masked data sets hold in all, one for each that is no stream.
    """

    args: Any
    processing_class: Any
    template: TemplateAnswer
    environment: Environment
    train: Any
    eval: Any
    totals: tuple[Totals, ...] = ()

    @property
    def template_sha256(self) -> str:
        """SHA-256 of the chat template and of who made the masks."""
        text = f"{self.template.source}\n{getattr(self.processing_class, 'chat_template', None)}"
        return hashlib.sha256(text.encode()).hexdigest()


def gather(checked: CheckedConfig, manager: PluginManager, run: RunFolder) -> Ingredients:
    """Everything but the model.

    Raises:
        TrainwrightError: TRL refuses the settings, or the tokenizer, template, environment or data cannot be used.
    """
    from trainwright.model.load import load_processing
    from trainwright.reference.compatible import check_reference
    from trainwright.trainer.bind import training_arguments

    config = checked.config
    args = training_arguments(checked.method, dict(checked.training), run.checkpoints)
    processing_class = load_processing(config.model, config)
    check_reference(config, processing_class)
    template = ask_template(checked, manager, processing_class, getattr(args, "assistant_only_loss", False))
    if template.chat_template is not None:
        processing_class.chat_template = template.chat_template
    environment = _environment(checked, manager, args.seed, vision=hasattr(processing_class, "image_processor"))
    totals: list[Totals] = []
    train, evaluation = _data(checked, environment, template, args, totals)
    if template.tokenize is not None and "labels" in (getattr(train, "column_names", None) or ()):
        args.assistant_only_loss = False  # the labels say it; TRL would look for markers in the template
    return Ingredients(args, processing_class, template, environment, train, evaluation, tuple(totals))


def ask_template(
    checked: CheckedConfig, manager: PluginManager, processing: Any, assistant_only: bool
) -> TemplateAnswer:
    """What the config's provider makes of the model's chat template.

    Args:
        checked: The checked config.
        manager: The plugins.
        processing: The model's tokenizer or processor.
        assistant_only: Whether only what the assistant says may carry loss.

    Raises:
        TrainwrightError: The provider refuses the template.
    """
    from trainwright.model.stops import declared_stops

    config = checked.config
    request = TemplateRequest(
        method=checked.method.name,
        processing_class=processing,
        settings=checked.template,
        folder=config.folder,
        assistant_only=bool(assistant_only),
        stops=declared_stops(config.model, config, processing),
    )
    slot = manager.slot("chat_template", config.template.name, config.where("template"))
    answer: TemplateAnswer = slot(request=request)
    return answer


def _environment(checked: CheckedConfig, manager: PluginManager, seed: int, *, vision: bool) -> Environment:
    config = checked.config
    if config.env is None:
        return Environment()
    spec = EnvSpec(checked.method.name, checked.env, config.folder, seed, vision)
    environment: Environment = manager.slot("build_env", config.env.name, config.where("env"))(spec=spec)
    return environment


def _data(
    checked: CheckedConfig, environment: Environment, template: TemplateAnswer, args: Any, totals: list[Totals]
) -> tuple[Any, Any]:
    from trainwright.data.load import load_split

    config, data = checked.config, checked.config.data
    train = environment.dataset
    if train is None:
        if data is None:
            raise RunError("there is nothing to train on", where="data", remedy="add `data: {train: …}` to the config")
        train = load_split(data.train, config, "data.train")
    evaluation = environment.eval_dataset
    if evaluation is None and data and data.eval:
        evaluation = load_split(data.eval, config, "data.eval")
    if template.tokenize is None or checked.method.name != "sft":
        return train, evaluation
    masked = _masked(train, template, args, config, "data.train", data.train if data else None, totals)
    if evaluation is None or data is None:
        return masked, None
    return masked, _masked(evaluation, template, args, config, "data.eval", data.eval, totals)


def _masked(
    dataset: Any,
    template: TemplateAnswer,
    args: Any,
    config: RunConfig,
    key: str,
    source: Any,
    totals: list[Totals],
) -> Any:
    from trainwright.template.dataset import mask_dataset
    from trainwright.template.places import file_places

    # A packing strategy that splits rows cuts nothing off.
    splits = args.packing and args.packing_strategy in ("bfd_split", "wrapped")
    return mask_dataset(
        dataset,
        template,
        key=key,
        max_length=None if splits else args.max_length,
        truncation=args.truncation_mode,
        completion_only=args.completion_only_loss is not False,
        num_proc=args.dataset_num_proc,
        places=file_places(source, config, key) if source is not None else None,
        tell=totals.append,
    )


def assemble(
    checked: CheckedConfig, manager: PluginManager, ingredients: Ingredients, model: Any, run: RunFolder
) -> Any:
    """The trainer of a run.

    Args:
        checked: The checked config.
        manager: The plugins.
        ingredients: What `gather` made.
        model: The model to train; PEFT is put around it by TRL where the config asks for LoRA.
        run: The run's folder.

    Raises:
        TrainwrightError: A model cannot be loaded, or TRL refuses the combination.
    """
    from trainwright.model.lora import lora_config
    from trainwright.trainer.bind import make_trainer

    config = checked.config
    lora = lora_config(config.lora, checked.method, model) if config.lora else None
    supply = _supply(checked, manager, ingredients, model)
    return make_trainer(
        _binding(checked, manager, ingredients, supply),
        run,
        calls_tools=ingredients.environment.calls_tools,
        model=model,
        args=ingredients.args,
        train_dataset=ingredients.train,
        eval_dataset=ingredients.eval,
        processing_class=ingredients.processing_class,
        peft_config=lora,
        ref_model=supply.model,
        **_further(checked, manager, ingredients.environment),
    )


def _further(checked: CheckedConfig, manager: PluginManager, environment: Environment) -> dict[str, Any]:
    """What only some of TRL's trainers take."""
    from trainwright.data.rewards import load_reward

    config, method = checked.config, checked.method
    given: dict[str, Any] = {}
    if "teacher" in method.takes:
        given["teacher_model"] = _frozen_model(config.teacher, config)
    if "rewards|env" in method.needs:
        own = [load_reward(reference, config) for reference in config.rewards]
        given["reward_funcs"] = [*environment.reward_functions, *own]
        given["tools"] = list(environment.tools) or None
        given["environment_factory"] = environment.environment_factory
    return given


def _supply(checked: CheckedConfig, manager: PluginManager, ingredients: Ingredients, model: Any) -> ReferenceSupply:
    from trainwright.reference.supply import supply_reference

    return supply_reference(
        checked.config,
        checked.method,
        ingredients.args,
        model,
        reference_free=_reference_free(checked.config, manager),
        depends_on={"template": ingredients.template_sha256},
    )


def _reference_free(config: RunConfig, manager: PluginManager) -> bool:
    """Whether no loss of the config ever asks for a reference."""
    return all(manager.provider("compute_loss", choice.name).reference_free for choice in config.losses.values())


def _loss(checked: CheckedConfig, manager: PluginManager) -> tuple[Callable[..., Loss], Any]:
    """What computes the loss, and the settings of the context that it is given."""
    from trainwright.loss.mix import make_mix

    config = checked.config
    if isinstance(config.loss, list):
        return make_mix(manager, config.loss, checked.losses, config.where), None
    return manager.slot("compute_loss", config.loss.name, config.where("loss")), checked.losses[0]


def asks_mismatched(settings: Iterable[Any]) -> bool:
    """Whether any loss asks for mismatched rows, by the losses' checked settings; those without settings may."""
    return any(getattr(each, "asks_mismatched", True) for each in settings)


def _frozen_model(section: Any, config: Any) -> Any:
    from trainwright.model.load import load_model

    return load_model(section, config, training=False) if section is not None else None


def _binding(
    checked: CheckedConfig, manager: PluginManager, ingredients: Ingredients, supply: ReferenceSupply
) -> Binding:
    config, method = checked.config, checked.method
    ours = {name for name in ("reference", "teacher") if name not in method.takes}
    compute_loss, settings = _loss(checked, manager)
    return Binding(
        method=method,
        compute_loss=compute_loss,
        native=config.native,
        settings=settings,
        metrics=metrics_caller(manager, checked.metrics),
        reference=_frozen_model(config.reference, config) if "reference" in ours else None,
        teacher=_frozen_model(config.teacher, config) if "teacher" in ours else None,
        placeholder=supply.placeholder,
        reference_adapter=supply.adapter,
        mismatched=asks_mismatched(checked.losses),
        precomputation=supply.precomputation,
        template=ingredients.template,
    )
