"""The installed families, and the one that a template belongs to."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from trainwright.errors import PluginError
from trainwright_templates.families.family import Family

GROUP = "trainwright_template_families"


@cache
def families() -> dict[str, Family]:
    """Name → family, of all installed packages.

    Raises:
        PluginError: An entry point cannot be loaded, holds no `Family`, or has a name that is taken.
    """
    found: dict[str, tuple[str, Family]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda each: (each.name, each.value)):
        family = _load(point)
        if family.name in found and found[family.name][0] != point.value:
            raise PluginError(
                f"two families of chat templates are named {family.name!r}: {found[family.name][0]} and {point.value}",
                remedy="uninstall one of the packages",
            )
        found[family.name] = point.value, family
    return {name: family for name, (_, family) in found.items()}


def _load(point: EntryPoint) -> Family:
    owner = point.dist.name if point.dist else "its package"
    try:
        family = point.load()
    except Exception as error:  # whatever another package's import does
        raise PluginError(
            f"loading the family {point.name!r} of chat templates ({point.value}) raised "
            f"{type(error).__name__}: {error}",
            remedy=f"mend, upgrade or uninstall {owner}",
        ) from error
    if not isinstance(family, Family):
        raise PluginError(
            f"the family {point.name!r} of chat templates ({point.value}) is a {type(family).__name__}, no `Family`",
            remedy=f"mend, upgrade or uninstall {owner}",
        )
    return family


def recognise(source: str) -> Family | None:
    """The family that a template belongs to; of several, the one that asks for most.

    Args:
        source: A Jinja template that parses.
    """
    fitting = [family for family in families().values() if family.recognises(source)]
    return max(fitting, key=_asked, default=None)


def _asked(family: Family) -> tuple[int, str]:
    return len(family.marks) + len(family.reads) + len(family.absent), family.name
