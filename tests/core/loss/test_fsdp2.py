"""Head functions under FSDP2: two CPU processes (gloo) give the gradients of one."""

import copy
import socket
from contextlib import nullcontext
from datetime import timedelta

import torch
import torch.multiprocessing as mp

from trainwright.loss.handle import ModelHandle
from trainwright.loss.head import install_head
from trainwright.loss.sums import on_every_rank
from trainwright.loss.supervision import supervise_labels
from trainwright.loss.together import MismatchedHandle
from trainwright.testing import tiny_model
from trainwright.trainer.inputs import base_model

WORLD = 2


def batch_of(rank, vocabulary):
    generator = torch.Generator().manual_seed(rank)
    ids = torch.randint(3, vocabulary, (2, 9), generator=generator)
    labels = ids.masked_fill(torch.rand(2, 9, generator=generator) < 0.3, -100)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, labels


def build(family, adapter):
    model = tiny_model(family)
    if adapter:
        import peft

        torch.manual_seed(0)
        config = peft.LoraConfig(r=2, target_modules=["q_proj", "lm_head"], init_lora_weights=False)
        model = peft.get_peft_model(model, config)
    install_head(base_model(model))
    return model


def loss_of(model, rank, vocabulary):
    inputs, labels = batch_of(rank, vocabulary)
    tokens = ModelHandle(model, inputs, supervise_labels(labels, inputs)).token_logps()
    return -(tokens.logps * torch.linspace(0.5, 1.5, tokens.logps.numel())).sum()


def shard(model, head_apart, mixed):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    # What accelerate asks for under bf16: outputs rounded too. The results must not pass through that rounding.
    policy = MixedPrecisionPolicy(output_dtype=torch.bfloat16) if mixed else MixedPrecisionPolicy()
    mesh = init_device_mesh("cpu", (WORLD,))
    base = base_model(model)
    for layer in base.model.layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    if head_apart:
        fully_shard(base.lm_head, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)


def worker(rank, port):
    torch.set_num_threads(1)
    address, patience = f"tcp://127.0.0.1:{port}", timedelta(minutes=2)  # a forward that one rank does not make hangs
    torch.distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=WORLD, timeout=patience)
    for name, case in CASES.items():
        try:
            check(rank, *case)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error
    for adapter in (False, True):
        check_pairs(rank, adapter)
    check_mismatched(rank)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def check(rank, family, adapter, head_apart, mixed):
    model = build(family, adapter)
    alone = copy.deepcopy(model)
    expected = [loss_of(alone, each, alone.config.vocab_size) for each in range(WORLD)]
    sum(expected).backward()
    shard(model, head_apart, mixed)
    for _ in range(2):  # the second step finds what the first has left
        model.zero_grad()
        loss = loss_of(model, rank, alone.config.vocab_size)
        if not mixed:
            torch.testing.assert_close(loss, expected[rank], rtol=1e-5, atol=1e-5)
        assert loss.dtype == torch.float32
        loss.backward()
    if mixed:  # hidden states between layers are rounded; what is left to check is that gradients reach everything
        assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)
        torch.testing.assert_close(loss, expected[rank], rtol=0.05, atol=0.05)
    else:
        assert_gradients(model, alone)


def pairs_loss(policy, reference, rank, vocabulary):
    """Two pairs a rank, each answer beside its reference; the policy with its adapter off where there is no other."""
    inputs, labels = batch_of(rank, vocabulary)
    supervision = supervise_labels(labels, inputs, pairs=True)
    with torch.no_grad(), nullcontext() if reference else policy.disable_adapter():
        fixed = ModelHandle(reference or policy, inputs, supervision).sequence_logps(average=True)
    margin = (ModelHandle(policy, inputs, supervision).sequence_logps(average=True) - fixed).chosen_minus_rejected()
    return torch.nn.functional.softplus(-margin).sum()


def check_pairs(rank, adapter):
    """A preference loss, its reference sharded too."""
    policy, reference = build("llama", adapter), None if adapter else build("llama", False)
    if reference:
        with torch.no_grad():
            reference.lm_head.weight.mul_(0.5)
    alone, beside = copy.deepcopy(policy), copy.deepcopy(reference)
    expected = [pairs_loss(alone, beside, each, alone.config.vocab_size) for each in range(WORLD)]
    sum(expected).backward()
    for model in (policy, reference) if reference else (policy,):
        shard(model, False, False)
    loss = pairs_loss(policy, reference, rank, alone.config.vocab_size)
    torch.testing.assert_close(loss, expected[rank], rtol=1e-5, atol=1e-5)
    loss.backward()
    assert_gradients(policy, alone)


def mismatched_logps(model, rank, agree):
    """A reference on a rank's own rows and on its mismatched ones, which on rank 1 are a single pair of tokens."""
    vocabulary, made = base_model(model).config.vocab_size, []
    for wanted, columns in ((rank, 9), (rank + WORLD, 2 if rank else 9)):
        inputs, labels = batch_of(wanted, vocabulary)
        inputs = {name: value[:, :columns] for name, value in inputs.items()}
        made.append((inputs, supervise_labels(labels[:, :columns], inputs)))
    own = ModelHandle(model, *made[0], name="reference")
    other = MismatchedHandle(own, *made[1], agree)
    with torch.no_grad():
        return [handle.sequence_logps() for handle in (other, own)]


def check_mismatched(rank):
    """Rank 0 would take both in one pass, rank 1 would not."""
    model = build("llama", False)
    expected = mismatched_logps(copy.deepcopy(model), rank, bool)
    shard(model, False, False)
    torch.testing.assert_close(mismatched_logps(model, rank, on_every_rank), expected, rtol=1e-5, atol=1e-5)


def assert_gradients(sharded, alone):
    for (name, mine), other in zip(sharded.named_parameters(), alone.parameters(), strict=True):
        if other.grad is not None:
            got = mine.grad.full_tensor() * WORLD  # FSDP averages
            torch.testing.assert_close(got, other.grad, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


CASES = {  # family, LoRA on the head, head a group of its own, rounded outputs
    "head in the root's group": ("llama", False, False, False),
    "tied head with soft cap": ("gemma2", False, False, False),
    "LoRA on a head of its own group": ("llama", True, True, False),
    "bf16 outputs": ("llama", False, True, True),
}


def test_two_shards_equal_one_model():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mp.spawn(worker, (port,), nprocs=WORLD)
