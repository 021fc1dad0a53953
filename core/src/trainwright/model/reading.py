"""While a library reads a model: no progress bars, no advice, and one clear error in place of whatever it raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from trainwright.errors import ModelError

_HINTS = {
    "trust_remote_code": "If you trust its author: `trust_remote_code: true`.",
    "out of memory": "Choose a smaller model, `dtype: bfloat16`, or `lora: {quantize: 4bit}`.",
    "flash_attn": "Install flash-attn, or choose `attn_implementation: sdpa`.",
    "401": "Log in with `hf auth login`, and accept the model's terms on its page.",
    "gated repo": "Log in with `hf auth login`, and accept the model's terms on its page.",
    "size mismatch": "The checkpoint does not fit its config.json: copy or download it again.",
}
_LONGEST = 600  # characters of a library's message


@contextmanager
def quietly() -> Iterator[None]:
    """Within it, transformers shows no progress bars and logs errors only; afterwards it does as it did before."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def reading(what: str, path: str, where: str) -> Iterator[None]:
    """Within it, transformers and PEFT read something.

    Args:
        what: What they read, e.g. `tokenizer`.
        path: Whose, as the user wrote it.
        where: The place of the config key.

    Raises:
        ModelError: In place of any other exception; those two raise OSError, ValueError, KeyError, RuntimeError and
            more for what a user can mend.
    """
    try:
        with quietly():
            yield
    except ModelError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        raise ModelError(
            f"the {what} of `{path}` cannot be loaded: {type(error).__name__}: {text[:_LONGEST]}",
            where=where,
            remedy=next((hint for sign, hint in _HINTS.items() if sign in text), ""),
        ) from error
