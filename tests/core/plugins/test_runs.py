"""Plugins of every kind in real runs through the command: losses, wrappers, metrics, environments, templates."""

import json

import pytest
import yaml

from trainwright.cli import main
from trainwright.testing import save_tiny, tiny_dataset

MODULES = {
    "acme_nll": """
from trainwright import PluginSettings, hookimpl

class Settings(PluginSettings):
    scale: float = 1.0

@hookimpl
def compute_loss(ctx):
    tokens = ctx.policy.token_logps(statistics=("entropy",))
    ctx.metric("acme/entropy", tokens.statistics["entropy"])
    return ctx.loss(-ctx.settings.scale * tokens.logps, per="token")
""",
    "acme_dpo": """
from trainwright import hookimpl

methods = frozenset({"dpo"})

@hookimpl
def compute_loss(ctx):
    from torch.nn.functional import softplus

    margin = (ctx.policy.sequence_logps() - ctx.reference.sequence_logps()).chosen_minus_rejected()
    return ctx.loss(softplus(-0.1 * margin), per="pair")
""",
    "acme_reinforce": """
from trainwright import hookimpl

methods = frozenset({"grpo", "rloo"})

@hookimpl
def compute_loss(ctx):
    tokens = ctx.policy.token_logps(temperature=ctx.trainer.temperature)
    return ctx.loss(-ctx.batch["advantages"][tokens.sequence] * tokens.logps, per="token")
""",
    "acme_double": """
from trainwright import hookimpl

@hookimpl(wrapper=True)
def compute_loss(ctx):
    return 2 * (yield)
""",
    "acme_speed": """
from trainwright import PluginSettings, hookimpl

class Settings(PluginSettings):
    per: float = 1.0

@hookimpl
def metrics(step):
    return {"acme/tokens": step.tokens / step.settings.per, "acme/length": step.sequence_length}
""",
    "acme_env": """
from trainwright import hookimpl
from trainwright.hooks import Environment

def even(completions, **columns):
    return [float(len(str(completion)) % 2) for completion in completions]

@hookimpl
def build_env(spec):
    from datasets import Dataset

    rows = [{"prompt": [{"role": "user", "content": f"Say {number}."}]} for number in range(8)]
    return Environment(dataset=Dataset.from_list(rows), reward_functions=[even])
""",
}
HOOKS = {
    "compute_loss": "nll = acme_nll\nacme_dpo = acme_dpo\nreinforce = acme_reinforce",
    "metrics": "speed = acme_speed",
    "build_env": "even = acme_env",
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_tiny("llama", tmp_path_factory.mktemp("model"))


@pytest.fixture
def run(install, checkpoint, tmp_path):
    """`run("messages", method=…, loss=…)` trains two steps and returns the logged lines and the manifest."""
    install("acme", HOOKS, **{name: source for name, source in MODULES.items() if name != "acme_double"})

    def train(kind, **sections):
        (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tiny_dataset(kind, 8)))
        training = {"max_steps": 2, "per_device_train_batch_size": 4, "logging_steps": 1, "save_strategy": "no"}
        output = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        config = {
            "model": str(checkpoint),
            "data": {"train": "data.jsonl"},
            **sections,
            "training": training | sections.get("training", {}),
            "output": str(output),
        }
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
        assert main(["train", str(tmp_path / "config.yaml")]) == 0
        lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
        return [line for line in lines if line["split"] == "train"], json.loads((output / "manifest.json").read_text())

    return train


def test_a_loss_with_settings_and_a_metrics_plugin(run):
    lines, manifest = run("messages", loss={"name": "nll", "scale": 3.0}, metrics=[{"name": "speed", "per": 10.0}])
    plain, _ = run("messages", loss="nll")
    assert lines[0]["loss"] == pytest.approx(3 * plain[0]["loss"], rel=1e-5)
    assert lines[0]["acme/entropy"] > 0
    assert lines[0]["acme/tokens"] * 10 == lines[0]["num_tokens"]
    assert "acme/tokens" not in plain[0]
    winners = manifest["hooks"]["compute_loss"]["participants"]
    assert [(row["name"], row["distribution"], row["version"]) for row in winners] == [("nll", "acme", "1.0")]


def test_an_adapter_on_the_lm_head_is_trained(run):
    lines, _ = run(
        "messages", loss="nll", lora={"r": 2, "target_modules": ["q_proj", "lm_head"]}, training={"learning_rate": 0.1}
    )
    assert lines[1]["loss"] < lines[0]["loss"]


def test_a_wrapper_runs_around_the_provider(run, install):
    plain, _ = run("messages", loss="trl")
    install("wrap", {"compute_loss": "double = acme_double"}, acme_double=MODULES["acme_double"])
    doubled, manifest = run("messages", loss="trl")
    assert doubled[0]["loss"] == pytest.approx(2 * plain[0]["loss"], rel=1e-6)
    assert [row["role"] for row in manifest["hooks"]["compute_loss"]["participants"]] == ["wrapper", "provider"]


@pytest.mark.parametrize("section", [{}, {"lora": {"r": 2}}], ids=["own reference model", "adapter off"])
def test_a_preference_loss_starts_at_log_2(run, section):
    lines, _ = run("pairs", method="dpo", loss="acme_dpo", **section)
    assert lines[0]["loss"] == pytest.approx(0.6931472, rel=1e-5)
    assert lines[1]["loss"] != lines[0]["loss"]


MIX = [{"name": "acme_dpo", "weight": 2}, {"name": "sft", "weight": 0.5}]


def test_losses_are_mixed_by_weight(run):
    lines, manifest = run("pairs", method="dpo", loss=MIX)
    first = lines[0]
    assert first["loss/acme_dpo"] == pytest.approx(0.6931472, rel=1e-5)
    assert first["loss"] == pytest.approx(2 * first["loss/acme_dpo"] + 0.5 * first["loss/sft"], rel=1e-6)
    alone, _ = run("pairs", method="dpo", loss="sft")
    assert alone[0]["loss"] == pytest.approx(first["loss/sft"], rel=1e-6)
    assert "loss/sft" not in alone[0]
    winners = manifest["hooks"]["compute_loss"]["participants"]
    assert [(row["name"], row["distribution"]) for row in winners] == [("acme_dpo", "acme"), ("sft", "trainwright")]
    assert winners[1]["why"].endswith("loss, with weight 0.5")
    assert [term["weight"] for term in manifest["config"]["loss"]] == [2.0, 0.5]


def test_a_wrapper_runs_around_each_loss_of_a_mix(run, install):
    plain, _ = run("pairs", method="dpo", loss=MIX)
    install("wrap", {"compute_loss": "double = acme_double"}, acme_double=MODULES["acme_double"])
    doubled, _ = run("pairs", method="dpo", loss=MIX)
    for name in ("loss", "loss/acme_dpo", "loss/sft"):
        assert doubled[0][name] == pytest.approx(2 * plain[0][name], rel=1e-6)


def test_a_mix_of_losses_without_a_reference_loads_none(run, monkeypatch):
    from trainwright.model import load

    loaded = []
    original = load.load_model
    monkeypatch.setattr(load, "load_model", lambda *a, **k: loaded.append(k) or original(*a, **k))
    run("pairs", method="dpo", loss=[{"name": "sft"}])
    assert len(loaded) == 1


def test_a_mixed_run_is_resumed_as_it_was(run, tmp_path, capsys):
    run("pairs", method="dpo", loss=MIX, training={"save_strategy": "steps", "save_steps": 1, "max_steps": 1})
    (output,) = tmp_path.glob("run*")
    longer = "training.max_steps=2"
    assert main(["resume", str(output), longer, "loss.1.weight=0.6"]) == 1
    assert "config key loss.1.weight changed since the run began: 0.5 → 0.6" in capsys.readouterr().err
    assert main(["resume", str(output), longer]) == 0
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    resumed = [row for row in rows if row["split"] == "train"]
    whole, _ = run("pairs", method="dpo", loss=MIX)
    assert [row["loss"] for row in resumed] == [row["loss"] for row in whole]
    assert [row["loss/sft"] for row in resumed] == [row["loss/sft"] for row in whole]
    assert "with the loss acme_dpo + sft" in (output / "report.html").read_text()


def test_a_loss_for_rollouts_in_an_environment(run):
    training = {"max_completion_length": 6, "num_generations": 2, "gradient_accumulation_steps": 2}
    lines, manifest = run("prompts", method="grpo", env="even", data=None, loss="reinforce", training=training)
    assert lines[0]["rewards/even/mean"] >= 0
    assert manifest["hooks"]["build_env"]["participants"][0]["name"] == "even"
    assert all(abs(line["loss"]) < 100 for line in lines)


@pytest.mark.parametrize(
    ("given", "written"), [("loss", "loss"), ("tokens_per_second", "time/tokens_per_second"), ("step", "step")]
)
def test_a_metric_given_twice_names_both(run, install, capsys, given, written):
    source = f"from trainwright import hookimpl\n\n@hookimpl\ndef metrics(step):\n    return {{{given!r}: 1.0}}\n"
    install("rival", {"metrics": "rival = rival_metrics"}, rival_metrics=source)
    with pytest.raises(AssertionError):
        run("messages", metrics=["rival"])
    assert f"the metric {written!r} comes from 'rival' and from 'the trainer'" in capsys.readouterr().err
