"""`preview` from a config to rows: real tokenizer, template, data and trainer, and no weights of a model."""

from __future__ import annotations

import json

import pytest

from trainwright.errors import TrainwrightError
from trainwright.testing import save_tiny


def conversation(answer):
    return {"messages": [{"role": "user", "content": "Say it"}, {"role": "assistant", "content": answer}]}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny("qwen2.5", tmp_path_factory.mktemp("model"))


@pytest.fixture
def shown(model, tmp_path, monkeypatch):
    """Preview rows of a config over a model and rows of data."""
    from trainwright.config.check import check_config
    from trainwright.config.load import load_dict
    from trainwright.plugins.manager import PluginManager
    from trainwright.run.preview import preview

    def never(*arguments, **keywords):
        raise AssertionError("a preview loads no weights")

    monkeypatch.setattr("trainwright.model.load.load_model", never)

    def shown(data, rows=5, **config):
        path = tmp_path / "data.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in data))
        values = {"model": str(model), "data": {"train": str(path)}, "output": str(tmp_path / "run"), **config}
        manager = PluginManager.discover().load()
        checked = check_config(load_dict(values), manager)
        return preview(checked, manager, rows)

    return shown


def text(row):
    marked = "".join(f"⟦{text}⟧" if flag else text for text, flag in zip(row.tokens, row.supervised, strict=True))
    return marked.replace("⟧⟦", "")


def test_assistant_only_loss_shows_the_verified_mask(shown, tmp_path):
    training = {"assistant_only_loss": True, "bf16": True, "gradient_checkpointing": True, "max_length": 512}
    yes, no = shown([conversation("Yes"), conversation("No")], training=training)
    assert text(yes).endswith("assistant\n⟦Yes<|im_end|>⟧\n")
    assert text(no).endswith("assistant\n⟦No<|im_end|>⟧\n")
    assert (yes.source, no.source) == ("row 1", "row 2")
    assert not (tmp_path / "run").exists(), "a preview leaves nothing behind"


def test_as_many_rows_as_asked(shown):
    assert [row.row for row in shown([conversation(str(n)) for n in range(9)], rows=2)] == [1, 2]


def test_a_template_file_is_what_is_shown(shown, tmp_path):
    template = tmp_path / "mine.jinja"
    template.write_text("{% for m in messages %}[{{ m.role }}] {{ m.content }}<|im_end|>{% endfor %}")
    (row,) = shown([conversation("Yes")], template=str(template), training={"assistant_only_loss": True})
    assert text(row) == "[user] Say it<|im_end|>⟦[assistant] Yes<|im_end|>⟧"


def test_dpo_shows_pairs(shown):
    data = [{"prompt": "Is it?", "chosen": " Yes", "rejected": " No"}]
    chosen, rejected = shown(data, method="dpo", training={"precompute_ref_log_probs": True})
    assert (chosen.note, rejected.note) == ("chosen", "rejected")
    assert text(chosen) == "Is it?⟦ Yes<|im_end|>⟧"
    assert text(rejected) == "Is it?⟦ No<|im_end|>⟧"


def test_kto_shows_thumbs(shown):
    data = [{"prompt": "Is it?", "completion": " Yes", "label": True}] * 2
    rows = shown(data, method="kto", training={"per_device_train_batch_size": 2, "loss_type": "apo_zero_unpaired"})
    assert [text(row) for row in rows] == ["Is it?⟦ Yes<|im_end|>⟧"] * 2


@pytest.mark.parametrize(("method", "holds"), [("reward", "for a scalar head"), ("grpo", "samples while it trains")])
def test_methods_without_supervised_tokens_say_what_their_batches_hold(shown, method, holds):
    data = {"reward": {"prompt": "a", "chosen": "b", "rejected": "c"}, "grpo": {"prompt": "a"}}[method]
    extra = {"rewards": ["trl.rewards:think_format_reward"]} if method == "grpo" else {}
    with pytest.raises(TrainwrightError, match=holds):
        shown([data], method=method, **extra)
