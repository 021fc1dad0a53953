"""The training template's text: the original, captured with its marks, and a few lines that print it in pieces."""

from __future__ import annotations

from trainwright_templates.generate.frames import Frames, Rules
from trainwright_templates.generate.pieces import with_marks

# Names begin with `tw_`, so as not to meet the template's own.
_HEAD = "{%+ set tw_text +%}"
_PRINT = """\
{%+ endset -%}
{#- The text above is the original template; its message loops print a mark before each message. Below, the
    captured text is printed piece by piece, with what the model must produce inside generation tags. -#}
{%- set tw_rules = RULES -%}
{%- set tw_state = namespace(before='', open=false) -%}
{%- for tw_part in ('S' ~ tw_text).split('MARK') -%}
  {%- set tw_kind = tw_part[0] -%}
  {%- set tw_piece = tw_part[1:] -%}
  {%- if tw_piece -%}
    {%- set tw_next = loop.nextitem[0] if not loop.last else '' -%}
    {%- set tw_rule = tw_rules.get(KEY, [[], [], []]) -%}
    {%- set tw_at = namespace(carry=0, start=-1, end=0) -%}
    {%- if tw_state.open -%}
      {%- for tw_carry in tw_rule[2] if tw_piece.startswith(tw_carry) and not tw_at.carry -%}
        {%- set tw_at.carry = tw_carry|length -%}
      {%- endfor -%}
    {%- endif -%}
    {%- for tw_head in tw_rule[0] if tw_at.start < 0 and tw_piece[tw_at.carry:].startswith(tw_head) -%}
      {%- set tw_at.start = tw_at.carry + tw_head|length -%}
    {%- endfor -%}
    {%- if tw_at.start >= 0 -%}
      {%- set tw_at.end = tw_piece|length -%}
      {%- for tw_tail in tw_rule[1] if tw_at.end == tw_piece|length and tw_piece[tw_at.start:].endswith(tw_tail[0]) -%}
        {%- if loop.first -%}{%- set tw_at.end = tw_piece|length - tw_tail[1] -%}{%- endif -%}
      {%- endfor -%}
    {%- endif -%}
    {%- if tw_at.end <= tw_at.start -%}
      {%- set tw_at.start = -1 -%}
    {%- endif -%}
    {%- if tw_at.carry -%}
      {%- generation -%}{{ tw_piece[:tw_at.carry] }}{%- endgeneration -%}
    {%- endif -%}
    {%- if tw_at.start >= 0 -%}
      {{- tw_piece[tw_at.carry:tw_at.start] -}}
      {%- generation -%}{{ tw_piece[tw_at.start:tw_at.end] }}{%- endgeneration -%}
      {{- tw_piece[tw_at.end:] -}}
      {%- set tw_state.open = tw_at.end == tw_piece|length -%}
    {%- else -%}
      {{- tw_piece[tw_at.carry:] -}}
      {%- set tw_state.open = tw_at.carry == tw_piece|length -%}
    {%- endif -%}
    {%- set tw_state.before = tw_kind -%}
  {%- endif -%}
{%- endfor -%}"""
_KEY = {
    "kind": "tw_kind",
    "before": "tw_state.before ~ tw_kind",
    "after": "tw_kind ~ tw_next",
    "both": "tw_state.before ~ tw_kind ~ tw_next",
}


def written(source: str, mark: str, fields: str, frames: Frames) -> str:
    """The training template of an original, for frames learnt with these marks."""
    marked = with_marks(source.removesuffix("\n"), mark, fields)
    key = " ~ ".join([f"({_KEY[frames.by]})", *map(_setting, frames.variables)])
    ending = _PRINT.replace("RULES", _rules(frames)).replace("MARK", mark).replace("KEY", key)
    return f"{_HEAD}{marked}{ending}"


def _setting(variable: str) -> str:
    """A jinja expression: a variable as `frames.setting_of` writes it, nothing where it is not set."""
    return f"('|{variable}=' ~ {variable} if {variable} is defined else '')"


def _rules(frames: Frames) -> str:
    entries = [f"{_literal(key)}: {_rule(rule)}" for key, rule in sorted(frames.rules.items())]
    return "{" + ", ".join(entries) + "}"


def _rule(rule: Rules) -> str:
    heads = ", ".join(_literal(head) for head in sorted(rule.heads, key=lambda h: (-len(h), h)))
    carries = ", ".join(_literal(carry) for carry in sorted(rule.carries, key=lambda c: (-len(c), c)))
    tails = ", ".join(f"[{_literal(t)}, {cut}]" for t, cut in sorted(rule.tails.items(), key=lambda t: (-len(t[0]), t)))
    return f"[[{heads}], [{tails}], [{carries}]]"


def _literal(text: str) -> str:
    """A jinja string: its escapes are Python's."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"
