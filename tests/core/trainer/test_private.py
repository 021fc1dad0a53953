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


def test_what_is_done_to_rows_before_trls_kto_trainer_gets_them_still_reaches_it():
    from trl.trainer.kto_trainer import DataCollatorForVisionUnpairedPreference, KTOTrainer

    made, prepared = inspect.getsource(KTOTrainer.__init__), inspect.getsource(KTOTrainer._prepare_dataset)
    assert 'calculate_kl = args.loss_type not in ["apo_zero_unpaired"]' in made
    assert "self._prepare_dataset(train_dataset, processing_class, args, " in made
    assert "self._is_vision_dataset" in made
    assert 'if dataset_name == "train"' in prepared, "the only use of the name but for progress bars"
    assert 'dataset.filter(lambda example: len(example["prompt_ids"]) < args.max_length' in prepared
    assert "calculate_kl" in inspect.signature(DataCollatorForVisionUnpairedPreference).parameters
    assert '("KL_", "KL_completion_ids")' in inspect.getsource(inspect.getmodule(KTOTrainer))


@pytest.mark.parametrize("name", ["DPOTrainer", "KTOTrainer"])
def test_rows_with_images_are_cut_by_the_collator_of_the_trainers_module(name):
    kind = getattr(importlib.import_module("trl.trainer"), name)
    assert "self._is_vision_dataset = " in inspect.getsource(kind.__init__)
    assert inspect.getsource(inspect.getmodule(kind)).count("input_ids = input_ids[:, : self.max_length]") == 1


@pytest.mark.parametrize("name", ["DPOTrainer", "KTOTrainer"])
def test_how_trl_keeps_and_asks_a_reference(name):
    trainer = getattr(importlib.import_module("trl.trainer"), name)
    made, asked = inspect.getsource(trainer.__init__), inspect.getsource(trainer._compute_loss)
    assert 'model.add_adapter("ref", default_config)' in made  # only where it is given no `ref_model`
    assert "elif is_peft_model(model) and ref_model is None:" in made
    assert "if args.precompute_ref_log_probs:" in made or "if self.precompute_ref_logps:" in made
    assert "SyncRefModelCallback(ref_model=self.ref_model" in made
    assert "if self.precompute_ref_logps:" in asked
    assert "is_peft_model(self.model) and self.ref_model is None" in asked
    assert 'adapter_name="ref" if "ref" in' in asked
    assert list(inspect.signature(trainer._prepare_dataset).parameters)[4] == "dataset_name"


@pytest.mark.parametrize(
    ("name", "columns"),
    [("DPOTrainer", ("ref_chosen_logps", "ref_rejected_logps")), ("KTOTrainer", ("ref_logps", "ref_KL_logps"))],
)
def test_trl_reads_precomputed_sums_by_these_names(name, columns):
    from trainwright.reference.parts import PARTS

    source = inspect.getsource(getattr(importlib.import_module("trl.trainer"), name)._compute_loss)
    for column in columns:
        assert f'inputs["{column}"]' in source or f'batch["{column}"]' in source
    kind = {"DPOTrainer": "pairs", "KTOTrainer": "unpaired"}[name]
    assert tuple(column for part in PARTS[kind] for column in part.trl) == columns


def test_columns_that_a_trainer_keeps_can_be_added_to():
    from transformers import Trainer

    assert "self._signature_columns" in inspect.getsource(Trainer._set_signature_columns_if_needed)
    assert "self._set_signature_columns_if_needed()" in inspect.getsource(Trainer._remove_unused_columns)


def test_a_checkpoint_is_loaded_by_the_method_that_is_overridden():
    from transformers import Trainer

    assert list(inspect.signature(Trainer._load_from_checkpoint).parameters)[1:] == ["resume_from_checkpoint", "model"]
    assert "self._load_from_checkpoint(resume_from_checkpoint)" in inspect.getsource(Trainer.train) + inspect.getsource(
        Trainer._inner_training_loop
    )


@pytest.mark.parametrize("name", ["DPOTrainer", "KTOTrainer"])
def test_conversations_of_preferences_are_tokenised_by_a_function_of_the_trainers_module(name):
    """`preference_tokens` replaces it while rows are prepared."""
    source = inspect.getsource(getattr(importlib.import_module("trl.trainer"), name)._prepare_dataset)
    assert source.count("_tokenize(\n                        processing_class,\n                        example[") >= 2
    assert "add_generation_prompt=True,\n                        **apply_chat_template_kwargs" in source
    assert "common_prefix_length(prompt_ids, " in source


def test_where_the_tool_loop_reads_responses_and_writes_results():
    from trl.trainer import grpo_trainer

    kind = grpo_trainer.GRPOTrainer
    assert list(inspect.signature(grpo_trainer.parse_response).parameters) == ["tokenizer", "ids", "prefix", "tools"]
    assert "parse_response(self._tokenizer, ids, prefix=prompt_ids[i], tools=" in inspect.getsource(kind._generate)
    assert 'getattr(self._tokenizer, "response_template", None) is not None' in inspect.getsource(kind._generate)
    loop = inspect.getsource(kind._tool_call_loop)
    assert "suffix_ids = self._get_tool_suffix_ids(tool_messages)" in loop
    assert "parse_response(\n" in loop
    made = inspect.getsource(kind.__init__)
    assert "if not supports_tool_calling(processing_class):" in made
    assert "if self.tools and not is_chat_template_prefix_preserving(processing_class):" in made
    assert "if not has_template and not has_schema:" in made


def test_replaced_functions_come_back():
    from trl.trainer import grpo_trainer

    from trainwright.trainer.private import replaced

    own = grpo_trainer.parse_response
    with replaced(METHODS["grpo"], {"parse_response": lambda function: (function, 1)}):
        assert grpo_trainer.parse_response == (own, 1)
    assert grpo_trainer.parse_response is own
    with pytest.raises(KeyError), replaced(METHODS["grpo"], {"parse_response": lambda function: None}):
        raise KeyError
    assert grpo_trainer.parse_response is own


def test_the_rollouts_of_grpo_call_what_the_episodes_override():
    import trl.trainer.grpo_trainer as module

    source = inspect.getsource(module.GRPOTrainer)
    for fragment in (
        "self._sync_tool_dicts[idx_with_tool]",
        "self._async_tool_dicts[idx_with_tool]",
        "self._env_tools[self._batch_environments[i]]",
        "self._tool_call_loop(",
        "self._multi_environment",
        "self._standalone_tools + methods",
    ):
        assert fragment in source, fragment
    first = list(inspect.signature(module.GRPOTrainer._tool_call_loop).parameters)
    assert first[:5] == ["self", "prompts", "prompt_ids", "completion_ids", "completions"]
    assert callable(module.supports_tool_calling)
