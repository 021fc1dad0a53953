"""Whether every rank has the same plugins: asked before the first step, since a difference would train nonsense."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from trainwright.errors import RunError
from trainwright.plugins.manager import Fingerprint, PluginManager
from trainwright.plugins.names import listed


def agree(manager: PluginManager) -> None:
    """Compare the active plugins of all ranks; does nothing where one process trains alone.

    Must be called on every rank, after `torch.distributed` is initialised.

    Raises:
        RunError: On every rank alike, where any plugin differs in presence or version; names the plugins and ranks.
    """
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return
    fingerprints: list[Fingerprint] = [manager.fingerprint()] * dist.get_world_size()
    dist.all_gather_object(fingerprints, manager.fingerprint())
    if len({fingerprint.sha256 for fingerprint in fingerprints}) > 1:
        raise RunError(
            f"the ranks have different plugins: {'; '.join(differences(fingerprints))}",
            remedy="install the same packages on every machine; `trainwright plugins` lists those of one",
        )


def differences(fingerprints: Sequence[Fingerprint]) -> list[str]:
    """What differs, one phrase a plugin: `simpo (pkg): 1.0 on rank 0, absent on ranks 1, 2`.

    Args:
        fingerprints: One a rank, in the order of ranks.
    """
    per_rank = [
        {(distribution, name): version for name, distribution, version in each.plugins} for each in fingerprints
    ]
    phrases = []
    for distribution, name in sorted(set().union(*per_rank)):
        ranks: defaultdict[str, list[str]] = defaultdict(list)
        for rank, plugins in enumerate(per_rank):
            ranks[plugins.get((distribution, name), "absent")].append(str(rank))
        if len(ranks) > 1:
            where = (f"{version} on {_ranks(numbers)}" for version, numbers in ranks.items())
            phrases.append(f"{name} ({distribution}): {', '.join(where)}")
    return phrases


def _ranks(numbers: list[str]) -> str:
    return f"rank{'s' if len(numbers) > 1 else ''} {listed(numbers)}"
