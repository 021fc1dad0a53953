"""Tiny runs with the run's own parts, each in a process of its own that a test may kill and resume.

`python tiny_run.py` imports everything once; each line on stdin, `{"output": ..., ...}`, is then one run in a fork, and
its exit code (negative: the signal that ended it) and output come back as one line of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

from trainwright.errors import TrainwrightError

TRAINING: dict[str, Any] = {
    "num_train_epochs": 2,  # of 4 steps: 14 rows, the last step of an epoch has one micro-batch instead of two
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "logging_steps": 2,
    "save_steps": 3,
    "learning_rate": 1e-2,
    "max_length": 32,
    "report_to": [],
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
}


def run(wanted: dict[str, Any]) -> None:
    """Train, or go on from the last sealed checkpoint where there is one."""
    from trainwright.run.callbacks import watch
    from trainwright.run.folder import RunFolder
    from trainwright.run.seal import last_sealed

    output = Path(wanted["output"])
    resumed = wanted.get("resumed", output.exists())
    folder = RunFolder(output) if resumed else RunFolder.claim(output, "method: sft\n")
    trainer = make_trainer(folder, wanted)
    with watch(trainer, folder) as interrupt:
        trainer.train(resume_from_checkpoint=last_sealed(folder.checkpoints))
    print("interrupted" if interrupt.interrupted else "finished", trainer.state.global_step)
    trainer.save_model(str(folder.model))


def command(wanted: dict[str, Any]) -> None:
    """The command line itself; the signal comes in the step that `at` names, before it ends."""
    from trainwright.cli import main
    from trainwright.run.checkpoint import SealedCheckpoints

    norm = SealedCheckpoints._get_grad_norm

    def strike(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        if wanted.get("at") == ["step", trainer.state.global_step + 1]:
            os.kill(os.getpid(), getattr(signal, wanted.get("signal", "SIGKILL")))
        return norm(trainer, *args, **kwargs)

    SealedCheckpoints._get_grad_norm = strike
    raise SystemExit(main(wanted["argv"]))


def make_trainer(folder: Any, wanted: dict[str, Any]) -> Any:
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    from trainwright.run.checkpoint import SealedCheckpoints
    from trainwright.testing import tiny_model, tiny_tokenizer

    class Trainer(SealedCheckpoints, SFTTrainer):
        def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
            loss = super().compute_loss(*args, **kwargs)
            step = self.state.global_step + 1
            if step == wanted.get("nan_gradient_at"):
                loss = loss + 0 * (loss - loss.detach()).sqrt()  # the root's slope at zero is infinite
            return loss * float("nan") if step == wanted.get("nan_at") else loss

    words = ["the", "cat", "sat", "on", "a", "mat", "while", "one", "or", "two", "dogs", "ran", "over", "hills"]
    rows = [{"text": " ".join(words[i % 5 : i % 5 + 3 + i % 7])} for i in range(14)]
    lora = LoraConfig(r=2, lora_dropout=0.3, target_modules="all-linear") if wanted.get("lora") else None
    training = {**TRAINING, **wanted.get("training", {})}
    trainer = Trainer(
        model=tiny_model("llama", **({} if lora else {"attention_dropout": 0.2})),
        args=SFTConfig(output_dir=str(folder.checkpoints), disable_tqdm=True, **training),
        train_dataset=Dataset.from_list(rows),
        eval_dataset=Dataset.from_list(rows[:4]) if "eval_strategy" in training else None,
        processing_class=tiny_tokenizer("llama"),
        peft_config=lora,
    )
    plant(trainer, wanted)
    return trainer


def plant(trainer: Any, wanted: dict[str, Any]) -> None:
    """Signals at the end of a step, before and after its log event and checkpoint, or while a checkpoint is written."""
    from transformers import TrainerCallback

    def strike(where: str) -> None:
        if wanted.get("at") == [where, trainer.state.global_step]:
            os.kill(os.getpid(), getattr(signal, wanted.get("signal", "SIGKILL")))

    class Strike(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            strike("step")

        def on_log(self, *args: Any, **kwargs: Any) -> None:
            strike("log")

        def on_save(self, *args: Any, **kwargs: Any) -> None:
            strike("save")

        def on_train_end(self, *args: Any, **kwargs: Any) -> None:
            strike("end")

    trainer.add_callback(Strike())
    save_rng_state = trainer._save_rng_state
    trainer._save_rng_state = lambda path: (strike("half saved"), save_rng_state(path))[1]
    if "save_fault" in wanted:
        trainer._save_scaler = lambda path: 1 / 0
    if "file_limit" in wanted:
        limit_files(trainer, **wanted["file_limit"])


def limit_files(trainer: Any, step: int, size: int) -> None:
    """From a step on, the system refuses to write files beyond a size: every writer meets a real error."""
    import resource

    save = trainer._save_checkpoint

    def save_with_limit(model: Any, trial: Any) -> None:
        if trainer.state.global_step == step:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        try:
            save(model, trial)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    trainer._save_checkpoint = save_with_limit


def fork(wanted: dict[str, Any]) -> dict[str, Any]:
    """One run in as many forks as it has ranks; code and output are the first rank's."""
    ranks, port = wanted.get("ranks", 1), free_port()
    children = []
    for rank in range(ranks):
        output = Path(wanted["output"]).with_suffix(f".{rank}.out")
        child = os.fork()
        if child == 0:
            if ranks > 1:
                os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), WORLD_SIZE=str(ranks))
                os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
            run_to_exit(wanted if wanted.get("strikes", rank) == rank else {**wanted, "at": None}, output)
        children.append((child, output))
    statuses = [os.waitpid(child, 0)[1] for child, _ in children]
    return {"code": os.waitstatus_to_exitcode(statuses[0]), "text": children[0][1].read_text()}


def run_to_exit(wanted: dict[str, Any], output: Path) -> None:
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.update(wanted.get("env", {}))
    signal.alarm(300)  # ranks that wait for each other for ever end as a failure
    code = 3
    try:
        run(wanted) if "argv" not in wanted else command(wanted)
        code = 0
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    except TrainwrightError as error:
        print(error)
        code = 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    import datasets
    import peft  # noqa: F401
    from trl import SFTTrainer  # noqa: F401  imported before the first fork, so that no run pays for it

    import trainwright.run.callbacks
    import trainwright.run.checkpoint
    import trainwright.testing.models  # noqa: F401

    datasets.disable_progress_bars()
    for line in sys.stdin:
        print(json.dumps(fork(json.loads(line))), flush=True)
