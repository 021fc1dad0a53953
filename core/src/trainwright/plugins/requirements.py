"""Whether what a distribution requires is installed, from metadata alone."""

from __future__ import annotations

from importlib.metadata import Distribution, PackageNotFoundError, version

from packaging.requirements import InvalidRequirement, Requirement


def unmet_requirements(distribution: Distribution) -> list[str]:
    """What a distribution requires and does not find, one phrase each: `torch>=9 (2.13.0 is installed)`.

    Markers are evaluated for this interpreter; requirements of extras are left out, since nothing in the metadata tells
    which extras were asked for; pre-releases count as installed.
    """
    return [phrase for text in distribution.requires or () if (phrase := _unmet(text))]


def _unmet(text: str) -> str:
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return f"{text} (which is no valid requirement)"
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return ""
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        return f"{_short(requirement)} (not installed)"
    if requirement.specifier.contains(installed, prereleases=True):
        return ""
    return f"{_short(requirement)} ({installed} is installed)"


def _short(requirement: Requirement) -> str:
    return f"{requirement.name}{requirement.specifier}"
