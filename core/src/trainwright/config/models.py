"""The config of a run, as pydantic models. What a key means stands at the key; the JSON Schema is made from here.

`training:` and the settings of plugins are checked in a second stage (`trainwright.config.check`), against TRL's config
class and the plugins' own models.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from trainwright.data.unpaired import Labels
from trainwright.trainer.methods import METHODS

NATIVE = "trl"
"""The provider of TRL's own losses."""


def place_of(places: Mapping[str, str], key: str) -> str:
    """The place of a dotted key, or of its nearest parent that has one, as `file:line: key`.

    Args:
        places: Dotted key → `file:line`; the empty key is the whole file.
        key: The dotted key.
    """
    parts = key.split(".")
    while parts and ".".join(parts) not in places:
        parts.pop()
    found = places.get(".".join(parts))
    return f"{found}: {key}" if found else key


class Section(BaseModel):
    """Base of every section: unknown keys are errors, and no text is taken for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())


class PluginChoice(BaseModel):
    """A plugin by its name, with its settings beside it: `chunked_nll` or `{name: chunked_nll, chunk_size: 1024}`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = Field(description="The plugin's name, as `trainwright plugins` lists it.")

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def settings(self) -> dict[str, Any]:
        """The keys beside `name`, unchecked."""
        return dict(self.model_extra or {})


class LossTerm(PluginChoice):
    """One of several losses that are added up: `sft` or `{name: sft, weight: 0.1}`, settings beside them."""

    weight: float = Field(1.0, gt=0, strict=True, allow_inf_nan=False, description="What its value is multiplied by.")


class ModelSection(Section):
    """A model: a hub id, a folder, or `package:NAME` (a GGUF file inside an installed Python package)."""

    path: str = Field(description="Hub id, folder, or `package:NAME` for a GGUF inside an installed package.")
    revision: str | None = Field(None, description="Branch, tag or commit of a hub model.")
    dtype: Literal["float32", "bfloat16", "float16", "auto"] = Field(
        "float32", description="Dtype of the parameters; `auto` is the checkpoint's own."
    )
    attn_implementation: str | None = Field(None, description="`sdpa`, `eager`, `flash_attention_2`, or a hub kernel.")
    trust_remote_code: bool = Field(False, description="Run Python code that comes with the model.")
    adapter: str | None = Field(None, description="A PEFT adapter (folder or hub id) to go on training.")
    init_kwargs: dict[str, Any] = Field({}, description="Further keywords of `from_pretrained`.")

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value


class DataSource(Section):
    """One data set: local JSONL, JSON, CSV or Parquet files, or a hub id."""

    path: str | list[str] = Field(description="File, glob or list of files of one format, or a hub id.")
    split: str | None = Field(None, description="Split of a hub data set; default `train` (`test` for eval).")
    name: str | None = Field(None, description="Configuration (subset) of a hub data set.")
    revision: str | None = Field(None, description="Branch, tag or commit of a hub data set.")
    columns: dict[str, str] = Field({}, description="Renamed columns: the method's name → the data's name.")
    limit: int | None = Field(None, ge=1, description="Use the first rows only.")
    streaming: bool = Field(False, description="Stream a hub data set; needs `training.max_steps`.")

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str | list) else value


class DataSection(Section):
    """What is trained on and evaluated on."""

    train: DataSource = Field(description="The training data.")
    eval: DataSource | None = Field(None, description="The evaluation data; its loss is logged as `eval_loss`.")


class LoraSection(Section):
    """LoRA, DoRA or QLoRA through PEFT (Hu et al. 2021, arXiv:2106.09685)."""

    r: int = Field(16, ge=1, description="Rank.")
    alpha: float | None = Field(None, gt=0, description="Scale numerator; default twice the rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on the adapter's input.")
    target_modules: str | list[str] = Field("all-linear", description="Names of modules, a regex, or `all-linear`.")
    modules_to_save: list[str] | None = Field(None, description="Modules trained in full and saved beside the adapter.")
    bias: Literal["none", "all", "lora_only"] = Field("none", description="Which biases are trained.")
    dora: bool = Field(False, description="Weight-decomposed LoRA (Liu et al. 2024, arXiv:2402.09353).")
    rslora: bool = Field(False, description="Scale by alpha/sqrt(r) (Kalajdzievski 2023, arXiv:2312.03732).")
    quantize: Literal["4bit", "8bit"] | None = Field(None, description="QLoRA: bitsandbytes quantisation of the base.")
    init_kwargs: dict[str, Any] = Field({}, description="Further fields of `peft.LoraConfig`.")


class AnswersSection(Section):
    """Held-out questions that are answered before and after training, and compared with the right answers."""

    data: DataSource = Field(
        description="Conversations (or prompt and completion) whose last turn is the right answer."
    )
    max_new_tokens: int = Field(64, ge=1, description="Tokens generated at most.")
    batch_size: int = Field(16, ge=1, description="Questions answered at once.")
    limit: int | None = Field(None, ge=1, description="Use the first questions only.")


class PluginsSection(Section):
    """Which installed plugins take part."""

    disable: list[str] = Field([], description="Plugins that are not loaded.")
    pin: dict[str, str] = Field({}, description="Plugin name → the distribution that provides it, where two do.")


class RunConfig(Section):
    """Everything that a run depends on."""

    method: str = Field("sft", description="Training method: " + ", ".join(METHODS))
    model: ModelSection = Field(description="The model to train.")
    reference: ModelSection | None = Field(None, description="Reference model; default: the model as it starts.")
    teacher: ModelSection | None = Field(None, description="Teacher model of gkd and distillation.")
    data: DataSection | None = Field(None, description="Training and evaluation data.")
    loss: PluginChoice | list[LossTerm] = Field(
        PluginChoice(name="trl"), description="The loss, or losses that are added up; `trl` is the method's own."
    )
    template: PluginChoice = Field(PluginChoice(name="auto"), description="How conversations become tokens and masks.")
    env: PluginChoice | None = Field(None, description="The environment of a method with rollouts.")
    rewards: list[str] = Field([], description="Reward functions: `module:function` or `file.py:function`.")
    lora: LoraSection | None = Field(None, description="Train an adapter instead of all parameters.")
    training: dict[str, Any] = Field({}, description="Fields of the TRL config class of the method.")
    metrics: list[PluginChoice] = Field([], description="Plugins that add numbers to each log event.")
    answers: AnswersSection | None = Field(None, description="Held-out questions answered before and after.")
    plugins: PluginsSection = Field(PluginsSection(), description="Which installed plugins take part.")
    telemetry: bool = Field(False, description="Let TRL and the hub client send usage statistics.")
    output: Path = Field(strict=False, description="The run's folder.")

    _places: dict[str, str] = PrivateAttr(default_factory=dict)
    _folder: Path = PrivateAttr(default_factory=Path.cwd)
    _labels: dict[str, Labels] = PrivateAttr(default_factory=dict)

    @field_validator("method")
    @classmethod
    def _known_method(cls, value: str) -> str:
        if value not in METHODS:
            raise ValueError(f"unknown method {value!r}; known: {', '.join(METHODS)}")
        return value

    @field_validator("loss")
    @classmethod
    def _some_loss(cls, value: Any) -> Any:
        if value == []:
            raise ValueError("an empty list names no loss")
        return value

    @field_validator("template", mode="before")
    @classmethod
    def _from_template_file(cls, value: Any) -> Any:
        """`template: my.jinja` stands for `{name: file, path: my.jinja}`."""
        is_file = isinstance(value, str) and value.endswith(".jinja")
        return {"name": "file", "path": value} if is_file else value

    @property
    def losses(self) -> dict[str, PluginChoice]:
        """Dotted key → loss, for one loss (`loss`) and for several (`loss.0`, `loss.1`) alike."""
        if isinstance(self.loss, PluginChoice):
            return {"loss": self.loss}
        return {f"loss.{index}": term for index, term in enumerate(self.loss)}

    @property
    def native(self) -> bool:
        """Whether the loss is the method's own, `trl`."""
        return isinstance(self.loss, PluginChoice) and self.loss.name == NATIVE

    def where(self, key: str) -> str:
        """The place of a dotted key as `file:line: key`; of its nearest parent that was written, if it was not."""
        return place_of(self._places, key)

    def labels(self, key: str = "data.train") -> Labels | None:
        """The numbers of desirable and undesirable rows of a data source, pairs counted as one of each.

        Args:
            key: The dotted key of the source.

        Returns:
            The numbers; None where the method's rows have no labels, and as long as nobody has counted them: local data
            are counted when they are checked, a hub data set when it is loaded, a stream never.
        """
        return self._labels.get(key)

    def note_labels(self, key: str, labels: Labels) -> None:
        """Keep the labels that were counted in a data source."""
        self._labels[key] = labels

    @property
    def folder(self) -> Path:
        """The folder of the config file: what relative paths of data, models and code are relative to."""
        return self._folder

    def resolve(self, path: str | Path) -> Path:
        """An absolute path; a relative one is sought beside the config, then in the working folder."""
        path = Path(path).expanduser()
        if path.is_absolute():
            return path
        beside, here = (self._folder / path).resolve(), path.resolve()
        return here if here.exists() and not beside.exists() else beside


SHORTHANDS: dict[type[BaseModel], str] = {
    PluginChoice: "name",
    LossTerm: "name",
    ModelSection: "path",
    DataSource: "path",
}
"""Sections that may be written as one plain value, and the key which that value stands for."""
