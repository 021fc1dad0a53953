"""The report: one valid page made from the run's folder, everything escaped, nothing fetched."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from trainwright.run.answers import AnswerRecord, Answers
from trainwright.run.chart import line_chart
from trainwright.run.folder import RunFolder
from trainwright.run.report import render, write_report
from trainwright.run.result import RunResult, mask_coverage, read_answers, write_answers

NASTY = "<script>alert('&')</script>"
VOID = {"meta", "br", "line", "circle", "polyline"}


class Page(HTMLParser):
    """Checks that tags are balanced; collects text and links."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def answers(*given: str) -> Answers:
    return Answers(tuple(AnswerRecord(f"question {NASTY}", "yes", text) for text in given))


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder.claim(tmp_path / "first", f"method: sft # {NASTY}\n")
    hook = {"participants": [{"name": NASTY, "distribution": "pkg", "version": "1.0"}]}
    manifest = {
        "format": 1,
        "started": "2026-01-01T00:00:00+00:00",
        "command": ["trainwright", "train", NASTY],
        "config": {"method": "sft", "model": {"path": NASTY}, "loss": {"name": "chunked_nll"}},
        "hooks": {"compute_loss": hook, "build_env": {"participants": []}},
        "packages": {"torch": "2.0"},
        "hardware": {"gpus": [], "ranks": 1},
        "data": {"train": {"files": [{"path": "/data/rows.jsonl", "rows": 14}]}},
        "git": None,
    }
    run.manifest.write_text(json.dumps(manifest))
    rows: list[dict[str, Any]] = [
        {"step": 1, "epoch": 0.5, "split": "train", "loss": 2.0, "grad_norm": 1.0, "time/tokens_per_second": 900.0},
        {"step": 2, "epoch": 1.0, "split": "train", "loss": "NaN", "grad_norm": 0.5, "time/tokens_per_second": 1100.0},
        {"step": 2, "epoch": 1.0, "split": "eval", "eval_loss": 1.5, "eval_grad_norm": 3.0, f"eval_{NASTY}": 1.0},
        {"step": 2, "epoch": 1.0, "split": "summary", "train_loss": 1.7},
    ]
    run.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return run


def finished(run: RunFolder) -> None:
    result = RunResult(
        folder=run.path,
        steps=2,
        interrupted=False,
        metrics={"loss": 2.0},
        seconds=61.4,
        peak_memory={"host": 3 * 2**30},
        coverage={"rows": 14, "tokens": 200, "supervised": 50},
        before=answers("no", NASTY),
        after=answers("yes", "no"),
    )
    result.save()


def test_a_finished_run_is_told_whole(run: RunFolder) -> None:
    finished(run)
    page = Page(write_report(run).read_text())
    for part in (
        "finished",
        "0:01:01",
        "3.0 GiB",
        "25.0% of 200 in the first 14 rows",
        "1,000 tokens/s (median of 2 log events)",
        "0.0% before, 50.0% after",
        "✓ yes",
        "✗ no",
        "build_env nobody",
        "torch 2.0",
        "data.train.files.0.rows 14",
    ):
        assert part in page.text
    assert page.tags.count("svg") == 4  # loss, grad_norm, throughput, the nasty one


def test_everything_is_escaped_and_nothing_is_fetched(run: RunFolder) -> None:
    finished(run)
    html = render(run)
    page = Page(html)
    assert "script" not in page.tags
    assert page.links == []
    assert not re.search(r"url\(|@import|https?://", html)
    assert page.text.count("<script>alert(") >= 5


def test_a_run_under_way_has_a_report_too(run: RunFolder) -> None:
    page = Page(render(run))
    assert "not ended" in page.text
    assert "Answers to held-out" not in page.text


def test_a_run_that_logged_nothing_has_one_too(run: RunFolder) -> None:
    run.metrics.unlink()
    assert "Nothing was logged." in Page(render(run)).text


def test_it_can_be_made_again(run: RunFolder) -> None:
    finished(run)
    assert write_report(run).read_text() == write_report(run).read_text()


def test_answers_before_a_kill_are_kept(run: RunFolder) -> None:
    write_answers(run, answers("no"))
    assert read_answers(run) == (answers("no"), None)
    assert "not asked" in Page(render(run)).text


def test_the_summary_says_where_things_are(run: RunFolder) -> None:
    whole = RunResult(folder=run.path, steps=1200, interrupted=False, metrics={"loss": 1.25}, before=answers("no"))
    assert "trained after 1,200 steps\n" in whole.summary
    assert "trained after 1 step\n" in replace(whole, steps=1).summary
    assert "1.2500 (training)" in whole.summary
    assert f"report   {run.report}" in whole.summary
    assert f"trainwright resume {run.path}" in RunResult(folder=run.path, steps=3, interrupted=True).summary


def test_mask_coverage_counts_what_carries_loss() -> None:
    from datasets import Dataset

    data = Dataset.from_dict({"labels": [[-100, -100, 3], [-100, 4, 5]]})
    assert mask_coverage(data) == {"rows": 2, "tokens": 6, "supervised": 3}
    assert mask_coverage(data, rows=1) == {"rows": 1, "tokens": 3, "supervised": 1}
    assert mask_coverage(Dataset.from_dict({"text": ["a"]})) == {}
    assert mask_coverage(None) == {}


@pytest.mark.parametrize(
    "points",
    [
        [(1.0, 2.0)],
        [(1.0, 2.0), (2.0, 2.0)],
        [(1.0, 0.0), (2.0, 0.0)],
        [(0.0, -1e9), (1.0, 1e9)],
        [(0.0, 1e-7), (10.0, 3e-7)],
        [(1.0, 1.0), (2.0, math.nan), (3.0, 1.0), (4.0, math.inf), (5.0, 1.5)],
    ],
)
def test_a_chart_is_well_formed_and_within_its_frame(points: list[tuple[float, float]]) -> None:
    svg = ElementTree.fromstring(line_chart({f"a{NASTY}": points}, title=NASTY))
    drawn = [pair.split(",") for line in svg.iter("polyline") for pair in line.attrib["points"].split()]
    drawn += [(dot.attrib["cx"], dot.attrib["cy"]) for dot in svg.iter("circle")]
    finite = [point for point in points if math.isfinite(point[1])]
    assert len(drawn) == len(finite)
    for x, y in drawn:
        assert 0 <= float(x) <= 640
        assert 0 <= float(y) <= 260
    assert len(list(svg.iter("text"))) >= 2


def test_a_higher_value_is_drawn_higher() -> None:
    svg = ElementTree.fromstring(line_chart({"a": [(0.0, 1.0), (1.0, 3.0), (2.0, 2.0)]}, title="a"))
    (line,) = svg.iter("polyline")
    heights = [float(pair.split(",")[1]) for pair in line.attrib["points"].split()]
    assert heights[1] < heights[2] < heights[0]


def test_no_points_no_chart() -> None:
    assert line_chart({"a": [(1.0, math.nan)]}, title="a") == ""
