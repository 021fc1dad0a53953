"""`preview`: the tokens that a run will train on, and which of them carry loss."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from trainwright.cli.prepare import prepare
from trainwright.cli.quiet import quiet
from trainwright.cli.screen import coloured, paint, put_json

if TYPE_CHECKING:
    from trainwright.run.preview import PreviewRow
    from trainwright.template.totals import Totals


def preview(
    config: Path, overrides: Sequence[str], no_plugin: Sequence[str], *, rows: int, as_json: bool, verbose: bool
) -> None:
    """Print the first rows of the training data as tokens, those that carry loss marked, and their share."""
    quiet(verbose)
    checked, manager = prepare(config, overrides, no_plugin)
    from trainwright.run.preview import preview as run

    totals: list[Totals] = []
    shown = run(checked, manager, rows, tell=totals.append)
    labels = checked.config.labels("data.train")
    if as_json:
        read = {"read": [asdict(each) for each in totals]} if totals else {}
        put_json(_as_json(list(shown)) | read | ({"labels": labels._asdict()} if labels else {}))
    else:
        _put_text(shown)
        for each in totals:
            print(f"read: {each}")
        if labels:
            print(f"data.train: {labels}")


def _as_json(rows: list[PreviewRow]) -> dict[str, object]:
    tokens = sum(len(row.tokens) for row in rows)
    supervised = sum(map(sum, (row.supervised for row in rows)))
    listed = [
        {"source": row.source, "tokens": row.tokens, "supervised": row.supervised, "share": _share(row.supervised)}
        for row in rows
    ]
    return {
        "rows": listed,
        "tokens": tokens,
        "supervised": supervised,
        "share": supervised / tokens if tokens else 0.0,
    }


def _put_text(rows: Iterable[PreviewRow]) -> None:
    masks = []
    for row in rows:
        print(paint(f"── {row.source}: {tally(row.supervised)}", "cyan", sys.stdout))
        print(mark(row.tokens, row.supervised, colour=coloured(sys.stdout)), end="\n\n")
        masks.append(row.supervised)
    print(f"{len(masks)} sequence{'' if len(masks) == 1 else 's'}: {tally([each for mask in masks for each in mask])}")


def tally(supervised: Sequence[int]) -> str:
    """`57 tokens, 12 supervised (21.1 %)`."""
    return f"{len(supervised)} tokens, {sum(supervised)} supervised ({100 * _share(supervised):.1f} %)"


def _share(supervised: Sequence[int]) -> float:
    return sum(supervised) / len(supervised) if supervised else 0.0


def mark(tokens: Sequence[str], supervised: Sequence[int], *, colour: bool) -> str:
    """The text of tokens with its supervised spans marked.

    Args:
        tokens: The text of each token.
        supervised: Whether each token carries loss, 0 or 1.
        colour: Mark spans by colour, neighbouring tokens in two shades; otherwise by ⟦brackets⟧.

    Returns:
        The marked text. A line break that carries loss shows as ↵ before it, for it is where masks go wrong unseen.
    """
    spans = []
    for carries_loss, span in groupby(zip(tokens, supervised, strict=True), key=lambda pair: pair[1]):
        texts = [token for token, _ in span]
        if not carries_loss:
            spans.append(_dim("".join(texts)) if colour else "".join(texts))
            continue
        texts = [text.replace("\n", "↵\n") for text in texts]
        spans.append(_shades(texts) if colour else f"⟦{''.join(texts)}⟧")
    return "".join(spans)


def _dim(text: str) -> str:
    return f"\x1b[2m{text}\x1b[0m"


def _shades(texts: Sequence[str]) -> str:
    return "".join(f"\x1b[{'1;32' if number % 2 else '32'}m{text}\x1b[0m" for number, text in enumerate(texts))
