"""Problems of a config as they are found: each placed, and silent about keys that are already known to be broken."""

from __future__ import annotations

from collections.abc import Iterable

from trainwright.config.findings import Finding
from trainwright.config.homes import with_home
from trainwright.config.models import RunConfig
from trainwright.errors import Problem


class Report:
    """Collects problems.

    Args:
        config: The config; gives places.
        problems: What was found before.
        broken: Dotted keys about which, and about whose parts, nothing more is said.
    """

    def __init__(self, config: RunConfig, problems: Iterable[Problem] = (), broken: Iterable[str] = ()) -> None:
        self.config = config
        self.problems = list(problems)
        self._broken = tuple(broken)

    def is_broken(self, key: str) -> bool:
        """Whether the key, or a section that holds it, is known to be broken."""
        return any(key == broken or key.startswith(f"{broken}.") for broken in self._broken)

    def is_touched(self, key: str) -> bool:
        """Whether the key, or anything in it, is known to be broken."""
        return self.is_broken(key) or any(broken.startswith(f"{key}.") for broken in self._broken)

    def add(self, key: str, message: str, remedy: str = "") -> None:
        """Note what is wrong with a dotted key."""
        if not self.is_broken(key):
            self.problems.append(Problem(message, self.config.where(key), remedy))

    def add_findings(self, findings: Iterable[Finding]) -> None:
        """Note findings; an unknown key that is known elsewhere is told where."""
        for finding in findings:
            finding = with_home(finding, self.config.method)
            self.add(finding.key, finding.message, finding.remedy)

    def extend(self, key: str, problems: Iterable[Problem]) -> None:
        """Note problems about a dotted key that have a place already."""
        if not self.is_broken(key):
            self.problems += problems
