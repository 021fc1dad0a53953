"""Chat templates: loss masks derived and verified, families, training templates, and a parser of responses.

`derived`     the provider: a family's entry, a training template, masks at run time, or a refusal
`render`      a chat template in a bounded sandbox of its own
`engine`      where a rendered conversation holds what the assistant says
`tokens`      from characters to tokens, so that no token lies on both sides of a span
`shapes`      conversations of every shape, to try a template on
`generate`    the template with `{% generation %}` markers in it
`parse`       what a model wrote, as content, thinking and tool calls
"""

from __future__ import annotations
