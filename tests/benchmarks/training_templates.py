"""How many templates of a corpus get a verified training template, and what it costs.

    python tests/benchmarks/training_templates.py [CORPUS.json] [--why]

The corpus: see `published`. A template counts where a mask of at least one probe conversation can be
derived from it, or should be (it renders one). Exits 1 where fewer than `GOAL` get a training template.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from published import published

from trainwright.errors import TrainwrightError
from trainwright_templates.generate import training_template
from trainwright_templates.render.sandbox import RenderError
from trainwright_templates.render.template import Template
from trainwright_templates.shapes import shapes

GOAL = 185
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", nargs="?")
    parser.add_argument("--why", action="store_true", help="print why the others have none")
    given = parser.parse_args()
    made, refused, seconds = 0, 0, []
    templates = published(given.corpus)
    if not templates:
        return 0
    for name, source in templates.items():
        template = _compiled(source)
        if template is None or not _renders(template):
            print(f"{name}: does not parse, or renders no probe conversation")
            continue
        start = time.process_time()
        result = training_template(template, stops=(), kept=False)
        seconds.append(time.process_time() - start)
        made, refused = made + bool(result), refused + (not result)
        if given.why and not result:
            print(f"{name}: {result.reason}")
    print(f"training templates: {made} of {made + refused} (goal {GOAL})")
    print(f"seconds a template: median {statistics.median(seconds):.2f}, most {max(seconds):.2f}")
    return 0 if made >= GOAL else 1


def _compiled(source: str) -> Template | None:
    try:
        return Template(source, special=SPECIAL)
    except TrainwrightError:
        return None


def _renders(template: Template) -> bool:
    for row in shapes().values():
        try:
            if template.render(row["messages"], tools=row.get("tools")).strip():
                return True
        except RenderError:
            continue
    return False


if __name__ == "__main__":
    sys.exit(main())
