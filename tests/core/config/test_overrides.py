"""`key.sub=value` replaces what the file says, and is the place of what it sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainwright.config.load import load_config
from trainwright.errors import ConfigError, UsageError

TEXT = """\
model: acme/tiny
data: {train: [a.jsonl, b.jsonl]}
loss: chunked_nll
metrics: [mfu]
training: {seed: 1, max_steps: 5}
output: runs/x
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "run.yaml"
    file.write_text(TEXT)
    return file


def test_values_are_yaml(path: Path) -> None:
    config = load_config(path, ["training.learning_rate=2e-4", "training.packing=true", "training.report_to=[a, b]"])
    assert config.training == {
        "seed": 1,
        "max_steps": 5,
        "learning_rate": 2e-4,
        "packing": True,
        "report_to": ["a", "b"],
    }


def test_an_empty_value_is_null_and_the_last_override_wins(path: Path) -> None:
    config = load_config(path, ["training.seed=", "training.max_steps=6", "training.max_steps=7"])
    assert config.training == {"seed": None, "max_steps": 7}


def test_a_value_may_hold_equals_signs_and_colons(path: Path) -> None:
    config = load_config(path, ["model.path=package:tiny", "output=runs/a=b"])
    assert (config.model.path, str(config.output)) == ("package:tiny", "runs/a=b")


def test_a_name_is_spelt_out_where_a_setting_is_put_beside_it(path: Path) -> None:
    config = load_config(path, ["loss.chunk_size=64", "model.revision=main", "data.train.limit=3", "metrics.0.peak=1"])
    assert config.loss.settings == {"chunk_size": 64}
    assert (config.loss.name, config.model.path, config.model.revision) == ("chunked_nll", "acme/tiny", "main")
    assert config.data is not None
    assert (config.data.train.path, config.data.train.limit) == (["a.jsonl", "b.jsonl"], 3)
    assert config.metrics[0].settings == {"peak": 1}


def test_items_of_lists_are_numbers_and_the_next_one_appends(path: Path) -> None:
    config = load_config(path, ["metrics.1.name=time", "data.train.path.0=c.jsonl"])
    assert [choice.name for choice in config.metrics] == ["mfu", "time"]
    assert config.data is not None
    assert config.data.train.path == ["c.jsonl", "b.jsonl"]


def test_sections_and_lists_that_the_file_lacks_are_made(path: Path) -> None:
    config = load_config(path, ["lora.r=8", "rewards.0=pay.py:pay", "plugins.disable.0=mfu", "plugins.disable.1=time"])
    assert config.lora is not None
    assert config.lora.r == 8
    assert (config.rewards, config.plugins.disable) == (["pay.py:pay"], ["mfu", "time"])
    with pytest.raises(ConfigError, match="`rewards` is a list of 0, so it has no item `1`"):
        load_config(path, ["rewards.1=pay.py:pay"])


def test_the_command_line_is_the_place_of_what_it_set(path: Path) -> None:
    config = load_config(path, ["training.seed=2", "loss={name: trl}"])
    assert config.where("training.seed") == "command line: training.seed"
    assert config.where("loss.name") == "command line: loss.name"
    assert config.where("training.max_steps") == f"{path}:5: training.max_steps"


def test_a_config_can_be_overrides_alone() -> None:
    config = load_config(None, ["model=acme/tiny", "output=x"])
    assert config.model.path == "acme/tiny"
    assert config.folder == Path.cwd()


@pytest.mark.parametrize("override", ["training.seed", "=3", "training..seed=3", ""])
def test_what_is_no_override_is_a_usage_error(path: Path, override: str) -> None:
    with pytest.raises(UsageError, match=r"Write `key\.sub=value`") as caught:
        load_config(path, [override])
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("output.x=1", "command line: output.x: `output` holds the text 'runs/x', so it has no `x`"),
        (
            "metrics.7=x",
            "command line: metrics.7: `metrics` is a list of 1, so it has no item `7`\n  → Items are 0 to 1",
        ),
        ("metrics.first.x=1", "`metrics` is a list of 1, so it has no item `first`"),
        ("data.eval=*.jsonl", "command line: data.eval: not YAML: "),
        ("training.seed=[1", "command line: training.seed: not YAML: "),
        ("lora.r=many", "command line: lora.r: expected a whole number, got the text 'many'"),
        ("lorra.r=8", "command line: lorra: unknown key `lorra`\n  → Did you mean `lora`?"),
    ],
)
def test_an_override_that_does_not_fit_is_placed_on_the_command_line(path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(path, [override])
    assert message in str(caught.value)
