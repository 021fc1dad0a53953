"""The files of one section's model, and the class of transformers that reads them."""

from __future__ import annotations

from typing import Any

from trainwright.config.models import ModelSection, RunConfig
from trainwright.errors import ModelError
from trainwright.model.find import find_model, section_key
from trainwright.model.package import package_model

_SCALAR_HEADS = ("score", "classifier")
_SHOWN = 3


class Source:
    """One section's model, found and, if it is a package's GGUF, converted.

    Args:
        section: The model's section.
        config: The run's config.

    Attributes:
        path: What `from_pretrained` takes: a hub id or an absolute folder.
        where: The place of the section's `path`.
        identity: Keywords that every `from_pretrained` of this model needs.

    Raises:
        ModelError: There is no such model, or it is not whole.
    """

    def __init__(self, section: ModelSection, config: RunConfig) -> None:
        self.section = section
        self.where = config.where(f"{section_key(section, config)}.path")
        found = find_model(section, config)
        self.path = str(package_model(section.path, self.where)) if found.kind == "package" else found.path
        self.identity: dict[str, Any] = {"trust_remote_code": section.trust_remote_code}
        if found.revision is not None:
            self.identity["revision"] = found.revision

    def is_vision(self) -> bool:
        """Whether the model takes images, by its config; a text model of such a family says so in `architectures`."""
        from transformers import AutoConfig
        from transformers.models.auto.modeling_auto import (
            MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
            MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
        )

        config = AutoConfig.from_pretrained(self.path, **self.identity)
        architecture = next(iter(config.architectures or ()), None)
        seeing = set(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.values())
        if architecture is None:
            return config.model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
        if architecture in set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()) - seeing:
            return False
        remote = getattr(config, "auto_map", None) or {}
        return architecture in seeing or "AutoModelForImageTextToText" in remote

    def language_model(self, keywords: dict[str, Any]) -> Any:
        """The causal LM or image-text-to-text model.

        Raises:
            ModelError: The checkpoint lacks weights.
        """
        from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

        kind = AutoModelForImageTextToText if self.is_vision() else AutoModelForCausalLM
        model, report = kind.from_pretrained(self.path, output_loading_info=True, **self.identity, **keywords)
        self._refuse_missing(report["missing_keys"])
        return model

    def scorer(self, keywords: dict[str, Any], seed: int) -> Any:
        """The model with a scalar head, which is drawn from `seed` where the checkpoint has none.

        Raises:
            ModelError: The checkpoint lacks other weights.
        """
        from transformers import AutoModelForSequenceClassification, set_seed

        set_seed(seed)
        model, report = AutoModelForSequenceClassification.from_pretrained(
            self.path, output_loading_info=True, num_labels=1, **self.identity, **keywords
        )
        self._refuse_missing({name for name in report["missing_keys"] if name.split(".")[0] not in _SCALAR_HEADS})
        return model

    def _refuse_missing(self, names: set[str]) -> None:
        """Weights that a checkpoint lacks are drawn at random without a word."""
        if names:
            listed = ", ".join(sorted(names)[:_SHOWN])
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            raise ModelError(
                f"`{self.section.path}` has no weights for {listed}{more}",
                where=self.where,
                remedy="Its config.json describes another model than its weights are: copy or download it again.",
            )
