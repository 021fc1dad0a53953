"""Lines of code of each package here, and of the same loss in the installed TRL: `python examples/plugins/count.py`.

A line counts where it holds code: no blank lines, comments, docstrings or imports. Of a loss that is a branch of a TRL
trainer, the branch is counted, and beside it the method and the file that it cannot do without.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
DPO, CPO, ORPO = "trainer/dpo", "experimental/cpo/cpo", "experimental/orpo/orpo"
IN_TRL = {
    "ipo": (DPO, "ipo"),
    "robust": (DPO, "robust"),
    "apo-down": (DPO, "apo_down"),
    "discopop": (DPO, "discopop"),
    "cpo": (CPO, "sigmoid"),
    "simpo": (CPO, "simpo"),
    "orpo": (ORPO, None),
}
"""Package → file of TRL's trainer, without `_trainer.py`, and the branch of its loss; None where it is all there is."""
METHODS = {DPO: "_compute_loss", CPO: "cpo_loss", ORPO: "odds_ratio_loss"}
_SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(source: str, within: list[ast.stmt] | None = None) -> int:
    """The number of lines of code, of a whole source or of some of its statements."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _SILENT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        text = node.value if isinstance(node, ast.Expr) else None
        is_text = isinstance(text, ast.Constant) and isinstance(text.value, str)
        if is_text or isinstance(node, ast.Import | ast.ImportFrom):
            lines.difference_update(range(node.lineno, node.end_lineno + 1))
    if within is not None:
        lines &= {line for node in within for line in range(node.lineno, node.end_lineno + 1)}
    return len(lines)


def here(package: str) -> int:
    """Lines of a package of this folder."""
    (module,) = (HERE / package / "src").glob("trainwright_*/__init__.py")
    return code_lines(module.read_text(encoding="utf-8"))


def in_trl(package: str) -> tuple[int, int, int, str]:
    """Lines in TRL: of the branch (the method, where it has none), of its method, of trainer and config; the file."""
    name, branch = IN_TRL[package]
    root = Path(find_spec("trl").origin).parent
    trainer, config = ((root / f"{name}_{part}.py").read_text(encoding="utf-8") for part in ("trainer", "config"))
    (method,) = (
        node
        for node in ast.walk(ast.parse(trainer))
        if isinstance(node, ast.FunctionDef) and node.name == METHODS[name]
    )
    body = next(_branches(method, branch)) if branch else [method]
    whole = code_lines(trainer) + code_lines(config)
    return code_lines(trainer, body), code_lines(trainer, [method]), whole, f"{name}_trainer.py"


def _branches(method: ast.FunctionDef, name: str) -> Iterator[list[ast.stmt]]:
    """The bodies of `if loss_type == name` in a method."""
    for node in ast.walk(method):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Compare):
            right = node.test.comparators[0]
            if "loss_type" in ast.unparse(node.test.left) and isinstance(right, ast.Constant) and right.value == name:
                yield node.body


def table() -> str:
    """The table of README.md."""
    rows = [
        "| package | lines here | its lines in TRL | those of the method around them | trainer and config | where |",
        "|---|---|---|---|---|---|",
    ]
    for package in IN_TRL:
        own, method, whole, file = in_trl(package)
        rows.append(f"| [{package}]({package}) | {here(package)} | {own} | {method} | {whole} | `{file}` |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
