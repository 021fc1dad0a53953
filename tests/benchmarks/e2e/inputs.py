"""Random models, word-level tokenizers and random rows: what is trained, without a download.

Rows of SFT are token ids. Those of preference data are text, which TRL insists on tokenising: word number i of the
vocabulary is the text of i, so that n words are n tokens.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from e2e.cases import MODELS, Case, Task

SEED = 0


def random_model(name: str, device: str) -> Any:
    """A causal LM with float32 parameters of std 0.02 on the device, the same each time."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(SEED)
    with torch.device(device):  # drawn where they stay: seconds on a GPU, minutes on the host
        model = AutoModelForCausalLM.from_config(_config(name), dtype=torch.float32, attn_implementation="sdpa")
    if device == "cuda":
        torch.cuda.empty_cache()
    return model


def reference_model(name: str, device: str) -> Any:
    """The same model, frozen, with flatter predictions, so that its log-probs are not the policy's."""
    model = random_model(name, device).eval().requires_grad_(False)
    model.model.norm.weight.mul_(0.95)
    return model


def _config(name: str) -> Any:
    from transformers import Qwen3Config

    end = MODELS[name]["vocab_size"] - 1
    return Qwen3Config(**MODELS[name], eos_token_id=end, pad_token_id=end - 1)


def tokenizer(case: Case) -> Any:
    """A tokenizer with the model's whole vocabulary; where rows are token ids, with a few words, which is faster."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = 16 if case.method == "sft" else MODELS[case.model]["vocab_size"] - 2
    vocabulary = {**{str(word): word for word in range(words)}, "<pad>": words, "<eos>": words + 1}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<eos>", pad_token="<pad>")


def save_model_folder(case: Case, folder: Path) -> None:
    """A model's folder without weights: config, tokenizer, and a safetensors file with no tensor in it."""
    from safetensors.torch import save_file

    folder.mkdir()
    _config(case.model).save_pretrained(folder)
    tokenizer(case).save_pretrained(folder)
    save_file({}, folder / "model.safetensors", metadata={"format": "pt"})


def random_rows(task: Task) -> list[dict[str, Any]]:
    """The rows of all steps, in the order in which they are trained on."""
    generator = torch.Generator().manual_seed(SEED)
    words = MODELS[task.case.model]["vocab_size"] - 2
    rows = []
    for length in task.lengths:
        for number in range(task.case.batch):
            drawn = torch.randint(0, words, (3, length), generator=generator)
            rows.append(_row(task.case.method, drawn, number))
    return rows


def _row(method: str, drawn: Tensor, number: int) -> dict[str, Any]:
    """One row of a method; of preference data half a sequence is prompt. The trainers add the end of sequence."""
    if method == "sft":
        return {"input_ids": drawn[0].tolist()}
    half = drawn.shape[1] // 2
    prompt, first, second = _text(drawn[0, :half]) + " ", _text(drawn[1, half + 1 :]), _text(drawn[2, half + 1 :])
    if method == "dpo":
        return {"prompt": prompt, "chosen": first, "rejected": second}
    return {"prompt": prompt, "completion": first, "label": number % 2 == 0}


def _text(tokens: Tensor) -> str:
    return " ".join(map(str, tokens.tolist()))


def save_rows(rows: list[dict[str, Any]], file: Path) -> None:
    """As JSON lines."""
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
