"""The provider `file` of `chat_template`: a Jinja file replaces the model's template; masks as `auto` derives them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from trainwright.errors import ConfigError, Problem
from trainwright.hooks import PluginSettings, TemplateAnswer, TemplateRequest, hookimpl

if TYPE_CHECKING:
    from trainwright.config import RunConfig


class Settings(PluginSettings):
    """Keys beside `name: file`."""

    path: Path = Field(description="The Jinja file; a relative path is sought beside the config, then here.")


@hookimpl
def chat_template(request: TemplateRequest) -> TemplateAnswer:
    """Answer with the file's template, and with a verified mask where one is asked.

    Raises:
        ConfigError: Where the file is missing, unreadable or not Jinja.
    """
    path = _locate(request.settings.path, request.folder)
    text, problem = read_template(path, "template.path")
    if problem:
        raise ConfigError([problem])
    if not request.assistant_only:
        return TemplateAnswer(chat_template=text, source=f"file: {path.name}, tokenised by TRL")
    from trainwright.template.mask import MaskingTokenizer, masked_answer

    return masked_answer(MaskingTokenizer(request.processing_class, text), f"file: {path.name}", text)


@hookimpl
def validate_config(config: RunConfig) -> list[Problem]:
    """Find a missing or broken template file before any model is loaded."""
    path = config.template.settings.get("path")
    if config.template.name != "file" or not isinstance(path, str):
        return []
    _, problem = read_template(config.resolve(path), config.where("template.path"))
    return [problem] if problem else []


def read_template(path: Path, where: str) -> tuple[str, Problem | None]:
    """The text of a chat template, and what is wrong with it.

    Args:
        path: The file.
        where: The place of the key that names it.
    """
    from jinja2 import TemplateSyntaxError

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return "", Problem(f"no chat template at {path}", where, "mend the path")
    except (OSError, UnicodeDecodeError) as error:
        return "", Problem(f"cannot read the chat template {path}: {error}", where, "give a UTF-8 text file")
    if not text.strip():
        return "", Problem(f"the chat template {path} is empty", where, "write a Jinja template into it")
    try:
        _environment().parse(text)
    except TemplateSyntaxError as error:
        return "", Problem(f"not a Jinja template: {error.message}", f"{path}:{error.lineno}", "mend the template")
    return text, None


def _locate(path: Path, folder: Path) -> Path:
    path = path.expanduser()
    beside = folder / path
    return path if path.exists() and not beside.exists() else beside


def _environment() -> Any:
    """Jinja with the tags that transformers knows; only ever used to parse."""
    from jinja2 import Environment
    from jinja2.ext import Extension
    from jinja2.nodes import Node
    from jinja2.parser import Parser

    class Generation(Extension):
        tags = {"generation"}  # noqa: RUF012  # the type that jinja2 declares

        def parse(self, parser: Parser) -> list[Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    return Environment(extensions=[Generation, "jinja2.ext.loopcontrols"], autoescape=False)
