"""Which sections a method cannot do without, which it reads, and what has to be given together."""

from __future__ import annotations

from importlib.util import find_spec

from trainwright.config.report import Report
from trainwright.trainer.methods import Method

_READ_BY_SOME = ("reference", "teacher", "rewards", "env")
_PACKAGES = {"use_vllm": "vllm", "use_liger_kernel": "liger_kernel", "deepspeed": "deepspeed"}
"""Field of `training:` → the module that it needs when set."""


def check_needs(report: Report, method: Method) -> None:
    """Note sections that are missing, and sections that nothing would read."""
    config = report.config
    for need in method.needs:
        names = need.split("|")
        if not any(_given(report, name) for name in names):
            wanted = " or ".join(f"`{name}:`" for name in names)
            report.add(names[0], f"method `{method.name}` needs {wanted}", f"Add {wanted}.")
    if not _given(report, "data") and not (config.env and "env" in _read_by(method)):
        report.add("data", f"method `{method.name}` needs `data:`", "Add `data: {train: FILE or hub id}`.")
    for name in _READ_BY_SOME:
        if _given(report, name) and name not in _read_by(method):
            report.add(name, f"method `{method.name}` does not read `{name}:`", "Remove it.")
        elif _given(report, name) and method.batch == "labels" and name not in method.needs and config.native:
            report.add(name, f"the loss `trl` of method `{method.name}` does not read `{name}:`", "Remove it.")
    if config.answers is not None and method.batch == "scores":
        report.add("answers", "a reward model gives scores, not answers", "Remove it.")


def _given(report: Report, name: str) -> bool:
    return getattr(report.config, name) not in (None, []) or report.is_touched(name)


def _read_by(method: Method) -> set[str]:
    return {name for need in method.needs for name in need.split("|")} | set(method.offers)


def check_together(report: Report) -> None:
    """Note settings that contradict each other or lack what they need."""
    config, training = report.config, report.config.training
    if training.get("fp16") is True and training.get("bf16") is True:
        report.add("training.fp16", "`fp16` and `bf16` are both set", "Keep one of them.")
    strategy = training.get("eval_strategy", "no")
    if strategy != "no" and config.data is not None and config.data.eval is None:
        remedy = "Add `data.eval`, or remove `eval_strategy`."
        report.add("training.eval_strategy", "evaluation is asked for, and there is no `data.eval`", remedy)
    if training.get("push_to_hub") and training.get("hub_strategy") in ("checkpoint", "all_checkpoints"):
        message = (
            "checkpoints are moved into place once they are whole, and cannot be uploaded from where they are made"
        )
        report.add("training.hub_strategy", message, "Use `every_save` or `end`.")
    if config.data is not None and config.data.train.streaming and training.get("max_steps", -1) in (-1, None):
        message = "a streamed data set has no known length"
        report.add("data.train.streaming", message, "Set `training.max_steps`.")
    for name, module in _PACKAGES.items():
        if training.get(name) and find_spec(module) is None:
            remedy = f"pip install {module.replace('_', '-')}"
            report.add(f"training.{name}", f"`{name}` needs the package {module}, which is not installed", remedy)
    if config.lora is not None and config.lora.quantize and find_spec("bitsandbytes") is None:
        message = "quantised training needs the package bitsandbytes, which is not installed"
        report.add("lora.quantize", message, "pip install 'trainwright[qlora]'")
