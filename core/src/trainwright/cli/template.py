"""`template show|check|export`: what a run's provider makes of a model's chat template."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainwright.cli.prepare import load_plugins, switched_off
from trainwright.cli.preview import mark, tally
from trainwright.cli.quiet import quiet
from trainwright.cli.screen import coloured, highlight, paint
from trainwright.errors import DataError, UsageError

if TYPE_CHECKING:
    from trainwright.hooks import TemplateAnswer

EXAMPLE: Mapping[str, Any] = {
    "messages": [
        {"role": "user", "content": "What is a mill?"},
        {"role": "assistant", "content": "A machine that grinds."},
        {"role": "user", "content": "Who runs it?"},
        {"role": "assistant", "content": "A miller does."},
    ]
}
"""What `show` renders where the provider brings no conversations of its own."""


def show(model: str, provider: str, no_plugin: Sequence[str], *, verbose: bool) -> int:
    """Print how the template was resolved and why, and a conversation with its mask; return the exit code."""
    answer, processing = _asked(model, provider, no_plugin, verbose)
    print(f"{paint('resolved by', 'bold', sys.stdout)} {answer.source}")
    for reason in answer.report.reasons if answer.report else ():
        print(f"  {reason}")
    print()
    return int(not _put(answer, processing, "example", EXAMPLE, whole=True))


def check(model: str, data: Path | None, provider: str, no_plugin: Sequence[str], *, verbose: bool) -> int:
    """Derive the mask of every conversation of a file, or of the provider's own; return 1 where one is refused."""
    answer, processing = _asked(model, provider, no_plugin, verbose)
    rows = list(_rows(answer, data))
    masked = sum(_put(answer, processing, name, row, whole=False) for name, row in rows)
    print(f"{masked} of {len(rows)} conversations have a verified mask, {len(rows) - masked} are refused")
    return int(data is not None and masked < len(rows)) if masked else 1


def export(model: str, output: Path | None, provider: str, no_plugin: Sequence[str], *, verbose: bool) -> None:
    """Write the training template, or the model's own where there is none; to stdout without a file."""
    answer, processing = _asked(model, provider, no_plugin, verbose)
    text = answer.training_template or answer.chat_template or str(processing.chat_template)
    if answer.training_template is None:
        print("there is no training template with generation markers: this is the model's own", file=sys.stderr)
    if output is None:
        print(text, end="")
    else:
        from trainwright.run.files import write_atomically

        write_atomically(output, text)


def _asked(model: str, provider: str, no_plugin: Sequence[str], verbose: bool) -> tuple[TemplateAnswer, Any]:
    """The provider's answer for a model, and the model's tokenizer or processor."""
    quiet(verbose)
    from trainwright.config.models import RunConfig
    from trainwright.hooks import TemplateRequest
    from trainwright.model.load import load_processing
    from trainwright.model.stops import declared_stops

    manager = load_plugins(switched_off(no_plugin))
    record = manager.provider("chat_template", provider)
    config = RunConfig.model_validate({"model": model, "output": "unused", "template": provider})
    processing = load_processing(config.model, config)
    request = TemplateRequest(
        method="sft",
        processing_class=processing,
        settings=record.settings_model() if record.settings_model else None,
        folder=Path.cwd(),
        assistant_only=True,
        stops=declared_stops(config.model, config, processing),
    )
    answer: TemplateAnswer = manager.slot("chat_template", provider)(request=request)
    return answer, processing


def _rows(answer: TemplateAnswer, data: Path | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if data is None:
        probes = answer.report.probes if answer.report else None
        yield from (probes() if probes else {"example": EXAMPLE}).items()
        return
    import json

    if not data.is_file():
        raise UsageError(f"no such file: {data}", remedy="give a file of JSON lines")
    for number, line in enumerate(data.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise _no_object(f"not JSON: {error}", f"{data}:{number}") from error
        if not isinstance(row, dict):
            raise _no_object(f"a JSON {type(row).__name__} is no row", f"{data}:{number}")
        yield f"{data}:{number}", row


def _no_object(message: str, where: str) -> DataError:
    return DataError(message, where=where, remedy="give one JSON object a line")


def _put(answer: TemplateAnswer, processing: Any, name: str, row: Mapping[str, Any], *, whole: bool) -> bool:
    """Print one conversation's mask, or why it has none; return whether it has one."""
    from trainwright.run.pieces import pieces
    from trainwright.template.render import text_tokenizer
    from trainwright.template.rows import conversation

    assert answer.tokenize is not None  # a mask was asked
    try:
        said = conversation(row)
        tokens = answer.tokenize(said.messages, said.tools, **said.variables)
    except DataError as error:
        print(f"{paint('refused', 'red', sys.stdout)} {name}: {highlight(error.problems[0].message, sys.stdout)}")
        return False
    print(f"{paint('masked', 'green', sys.stdout)} {name}: {tally(tokens.supervised)}")
    for note in tokens.notes:
        print(f"  {note}")
    if whole:
        print(
            mark(pieces(text_tokenizer(processing), tokens.input_ids), tokens.supervised, colour=coloured(sys.stdout))
        )
    return True
