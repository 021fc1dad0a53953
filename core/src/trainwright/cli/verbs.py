"""Verbs that other distributions add to the command, found from metadata; one is imported only when it is typed.

An entry point in the group `trainwright_verbs` names a verb and the `typer.Typer` that it is:

    [project.entry-points.trainwright_verbs]
    env = "trainwright_ors.verbs.app:app"
"""

from __future__ import annotations

import sys
from collections import defaultdict
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup

from trainwright.errors import TrainwrightError

GROUP = "trainwright_verbs"
_COMPLETION = ("install_completion", "show_completion")


def help_style() -> Literal["rich"] | None:
    """How help is shown: boxes and colours (and the 0.1 s that importing rich takes) are for people, not for a pipe."""
    return "rich" if sys.stdout.isatty() else None


class WithInstalled(TyperGroup):
    """A group of verbs that knows the installed ones besides its own, which come first: nothing replaces them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all verbs, the installed ones last and sorted."""
        own = super().list_commands(ctx)
        return [*own, *sorted(set(_installed()) - set(own))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A verb; of an installed one what `--help` says of it, without importing it. None where there is none."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        found = _installed().get(cmd_name)
        return Installed(cmd_name, found) if found else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that a command line names, imported if it is an installed one.

        Raises:
            TrainwrightError: Two distributions bring it, or it cannot be imported or is no verb.
        """
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, Installed) else command, rest


class Installed(TyperCommand):
    """An installed verb that is not imported yet.

    Args:
        name: The verb.
        entries: The entry points of this name; more than one is an error for whoever types it.
    """

    def __init__(self, name: str, entries: list[EntryPoint]) -> None:
        super().__init__(name, help=f"{_summary(entries[0])} ({_owners(entries)})")
        self._entries = entries

    def load(self) -> Any:
        """Import the verb.

        Raises:
            TrainwrightError: Two distributions bring it, or it cannot be imported or is no verb.
        """
        entry, owners = self._entries[0], _owners(self._entries)
        if len(self._entries) > 1:
            raise self._unusable(f"several distributions bring it: {owners}", "Uninstall all of them but one.")
        try:
            app = entry.load()
        except Exception as error:
            reason = f"{owners} cannot be imported: {type(error).__name__}: {error}"
            raise self._unusable(reason, "TRAINWRIGHT_TRACEBACK=1 shows where; reinstall or remove it.") from error
        if not isinstance(app, typer.Typer):
            reason = f"{entry.value!r} of {owners} is a {type(app).__name__}, not a typer.Typer"
            raise self._unusable(reason, f"Correct the entry point of group {GROUP!r} in its pyproject.toml.")
        app.rich_markup_mode = help_style()
        command = typer.main.get_command(app)
        command.name = self.name
        command.params = [each for each in command.params if each.name not in _COMPLETION]  # the whole command has them
        return command

    def _unusable(self, reason: str, remedy: str) -> TrainwrightError:
        return TrainwrightError(f"the verb cannot be used: {reason}", where=f"trainwright {self.name}", remedy=remedy)


def _installed() -> dict[str, list[EntryPoint]]:
    """Verb → the entry points that bring it; of a distribution that is found twice the first on the path counts."""
    found: defaultdict[str, list[EntryPoint]] = defaultdict(list)
    for entry in entry_points(group=GROUP):
        found[entry.name].append(entry)
    return found


def _owners(entries: list[EntryPoint]) -> str:
    return ", ".join(f"{entry.dist.name} {entry.dist.version}" if entry.dist else "?" for entry in entries)


def _summary(entry: EntryPoint) -> str:
    summaries = entry.dist.metadata.get_all("Summary") if entry.dist else None
    summary = str(summaries[0]) if summaries else "A verb without a description"
    return summary.rstrip(".")  # short help ends with the first sentence
