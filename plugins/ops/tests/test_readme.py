from __future__ import annotations

import re
from pathlib import Path


def test_the_snippet_runs(capsys):
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out.endswith("\n")
