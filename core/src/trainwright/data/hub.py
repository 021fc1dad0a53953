"""Data sets of the hub, with the hub's many errors turned into one that says what to do."""

from __future__ import annotations

from typing import Any

from trainwright.config.models import DataSource
from trainwright.config.words import suggestion
from trainwright.errors import DataError

_SECONDS = 10  # until the hub's answer about a revision is given up


def load_hub(source: DataSource, where: str, *, default_split: str) -> Any:
    """Load one split of a hub data set.

    Args:
        source: The source; its `path` is the hub id.
        where: The place of the source.
        default_split: The split where the source names none.

    Returns:
        A `datasets.Dataset`, or an `IterableDataset` where the source is streamed.

    Raises:
        DataError: There is no such data set, configuration, split or revision, or the hub cannot be reached.
    """
    import datasets

    split = source.split or default_split
    try:
        return datasets.load_dataset(
            source.path, source.name, split=split, revision=source.revision, streaming=source.streaming
        )
    except datasets.exceptions.DatasetNotFoundError as error:
        remedy = "Check its name on the hub; for a private or gated one, log in with `hf auth login`."
        raise DataError(
            f"the hub has no data set `{source.path}`, or you may not read it", where=where, remedy=remedy
        ) from error
    except ConnectionError as error:
        # The hub cannot be reached, or the client is offline (OfflineModeIsEnabled) and has no copy.
        message = f"the data set `{source.path}` is not in the cache, and the hub cannot be reached ({_line(error)})"
        remedy = "Connect, unset HF_HUB_OFFLINE, or give local files."
        raise DataError(message, where=where, remedy=remedy) from error
    except ValueError as error:
        raise _no_such_part(source, split, where, error) from error


def _no_such_part(source: DataSource, split: str, where: str, error: ValueError) -> DataError:
    """A configuration or a split that is not there, with those that are."""
    import datasets

    kind = "split" if "split" in str(error).lower() else "name"
    try:
        if kind == "split":
            wanted, known = split, datasets.get_dataset_split_names(source.path, source.name, revision=source.revision)
        else:
            wanted, known = source.name or "", datasets.get_dataset_config_names(source.path, revision=source.revision)
    except Exception:  # what is there cannot be told; the first error says enough
        return DataError(f"`{source.path}` cannot be loaded: {_line(error)}", where=where)
    remedy = suggestion(wanted, known) or f"It has: {', '.join(known)}."
    said = f"no {kind} `{wanted}`" if wanted else f"several configurations, and `{kind}` names none"
    return DataError(f"the data set `{source.path}` has {said}", where=where, remedy=f"{remedy} Set `{kind}:`.")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def resolved_revision(source: DataSource) -> str | None:
    """The commit that a hub data set's revision stands for now; the revision itself where the hub does not tell."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        return HfApi().dataset_info(str(source.path), revision=source.revision, timeout=_SECONDS).sha
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, OSError):
        return source.revision
