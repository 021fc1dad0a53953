"""The private names of TRL and transformers that the binding touches still exist, with the meaning it relies on."""

import importlib
import inspect

import pytest

from trainwright.trainer.bind import trainer_class, training_arguments
from trainwright.trainer.methods import METHODS


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_each_row_of_the_table_names_classes_that_exist(method, tmp_path):
    module = importlib.import_module(method.module)
    trainer, config = getattr(module, method.trainer), getattr(module, method.config)
    assert "args" in inspect.signature(trainer.__init__).parameters
    assert isinstance(training_arguments(method, {}, tmp_path), config)
    taken = inspect.signature(trainer.__init__).parameters
    assert {"reference": "ref_model", "teacher": "teacher_model"}.items() >= {
        (name, {"reference": "ref_model", "teacher": "teacher_model"}[name]) for name in method.takes
    }
    for name in method.takes:
        assert {"reference": "ref_model", "teacher": "teacher_model"}[name] in taken


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_the_mixins_come_before_trl(method):
    names = [kind.__name__ for kind in trainer_class(method).__mro__]
    assert names.index("HookedTrainer") < names.index("SealedCheckpoints") < names.index(method.trainer)


@pytest.mark.parametrize("name", ["GRPOTrainer", "RLOOTrainer"])
def test_rollouts_are_buffered_by_micro_batch(name):
    source = inspect.getsource(getattr(importlib.import_module("trl.trainer"), name)._prepare_inputs)
    assert "self._buffered_inputs[self._step % self.args.steps_per_generation]" in source


def test_the_loop_calls_what_the_binding_overrides():
    from transformers import Trainer

    loop = inspect.getsource(Trainer._run_epoch) if hasattr(Trainer, "_run_epoch") else inspect.getsource(Trainer)
    assert "self.get_batch_samples(epoch_iterator, num_batches" in loop
    assert "self.training_step(model, inputs, num_items_in_batch)" in loop
    step = inspect.getsource(Trainer.training_step)
    assert "self.compute_loss(model, inputs, num_items_in_batch=num_items_in_batch)" in step
    assert "self.loss_is_scaled_for_ga" in step or "self.compute_loss_func" in step


def test_attributes_of_a_trl_trainer():
    from trl.models.utils import disable_gradient_checkpointing
    from trl.trainer.sft_trainer import SFTTrainer
    from trl.trainer.utils import use_adapter

    source = inspect.getsource(SFTTrainer)
    for name in ("self.aux_loss_enabled", "self.router_aux_loss_coef", "self._total_train_tokens", "self._metrics"):
        assert name in source, name
    assert list(inspect.signature(use_adapter).parameters) == ["model", "adapter_name"]
    assert "gradient_checkpointing_kwargs" in inspect.signature(disable_gradient_checkpointing).parameters


def test_trl_still_refuses_adapters_on_the_head():
    """When it no longer does, `head_adapters_allowed` can go."""
    from trl.trainer.sft_trainer import SFTTrainer

    assert "isinstance(model.get_output_embeddings(), BaseTunerLayer)" in inspect.getsource(SFTTrainer.__init__)
