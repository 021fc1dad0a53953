"""`report.html`: the whole run on one page, made from the files in its folder; it needs neither network nor scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any

from jinja2 import Environment, StrictUndefined

from trainwright.run.chart import line_chart
from trainwright.run.drift import flat, participants
from trainwright.run.files import human, write_atomically
from trainwright.run.folder import RunFolder
from trainwright.run.manifest import read_manifest
from trainwright.run.records import SPEED, read_metrics
from trainwright.run.result import read_answers, read_result

_NOT_PLOTTED = {"step", "epoch", "split", "loss", "eval_loss", "num_tokens", "eval_num_tokens"}
Rows = Sequence[Mapping[str, Any]]


def write_report(run: RunFolder) -> Path:
    """Write `report.html` from what is in a run's folder so far, also while the run goes on.

    Raises:
        RunError: A file of the folder cannot be read.
        OSError: The report cannot be written.
    """
    write_atomically(run.report, render(run))
    return run.report


def render(run: RunFolder) -> str:
    """The report as HTML; everything that comes from the run is escaped."""
    manifest, rows = read_manifest(run.manifest), read_metrics(run.metrics)
    before, after = read_answers(run)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((files(__package__) / "report.html.j2").read_text(encoding="utf-8"))
    return template.render(
        name=run.path.name,
        config=manifest["config"],
        facts=_facts(read_result(run), manifest, rows),
        loss=_loss_chart(rows),
        charts=_charts(rows),
        before=before,
        after=after,
        answers=_answers(before, after),
        hooks={hook: participants(explained) for hook, explained in manifest["hooks"].items()},
        settings=run.config.read_text(encoding="utf-8"),
        provenance=_provenance(manifest),
        packages=manifest["packages"],
    )


def _facts(result: Mapping[str, Any] | None, manifest: Mapping[str, Any], rows: Rows) -> dict[str, str]:
    """What stands at the top of the page."""
    steps = int(max((row["step"] for row in rows), default=0))
    facts = {"state": "not ended", "steps": f"{steps:,}", "started": manifest["started"]}
    speeds = [row[SPEED] for row in rows if SPEED in row]
    if speeds:
        facts["throughput"] = f"{median(speeds):,.0f} tokens/s (median of {len(speeds)} log events)"
    if result is None:
        return facts
    facts |= {"state": "stopped" if result["interrupted"] else "finished", "steps": f"{result['steps']:,}"}
    facts["time"] = str(timedelta(seconds=round(result["seconds"])))
    facts |= {f"peak memory ({kind})": human(size) for kind, size in result["peak_memory"].items()}
    coverage = result["coverage"]
    if coverage:
        share = coverage["supervised"] / max(coverage["tokens"], 1)
        facts["supervised tokens"] = f"{share:.1%} of {coverage['tokens']:,} in the first {coverage['rows']:,} rows"
    return facts


def _series(rows: Rows, key: str) -> list[tuple[float, float]]:
    return [(row["step"], row[key]) for row in rows if isinstance(row.get(key), int | float)]


def _loss_chart(rows: Rows) -> str:
    series = {"loss": _series(rows, "loss"), "eval_loss": _series(rows, "eval_loss")}
    return line_chart({name: points for name, points in series.items() if points}, title="loss by step")


def _charts(rows: Rows) -> dict[str, str]:
    """Title → SVG for every other number; a metric and its evaluation share a chart."""
    logged = dict.fromkeys(key for row in rows if row["split"] != "summary" for key in row)
    keys = [key for key in logged if key not in _NOT_PLOTTED and (not key.startswith("time/") or key == SPEED)]
    titles = dict.fromkeys(key.removeprefix("eval_") for key in keys)
    charts = {}
    for title in titles:
        series = {key: _series(rows, key) for key in (title, f"eval_{title}") if key in keys}
        charts[title] = line_chart(series, title=f"{title} by step", width=320, height=160)
    return {title: chart for title, chart in charts.items() if chart}


def _answers(before: Any, after: Any) -> list[dict[str, Any]]:
    """One row a question: the right answer, and those given before and after training, None where not asked."""
    by_question: dict[tuple[int, str, str], dict[str, Any]] = {}
    for when, answers in (("before", before), ("after", after)):
        for number, record in enumerate(answers.records if answers else ()):
            key = (number, record.question, record.expected)
            row = {"question": record.question, "expected": record.expected, "before": None, "after": None}
            by_question.setdefault(key, row)[when] = record
    return list(by_question.values())


def _provenance(manifest: Mapping[str, Any]) -> dict[str, str]:
    """What the result depends on besides config, plugins and packages, as dotted keys."""
    sections = ("command", "working_folder", "template", "data", "seeds", "hardware", "git", "resumed")
    values = flat({section: manifest.get(section) for section in sections} | {"command": " ".join(manifest["command"])})
    return {key: str(value) for key, value in values.items()}
