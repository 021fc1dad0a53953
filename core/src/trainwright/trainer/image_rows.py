"""Rows with images for KTO: TRL's collator tokenises them, and their mismatched rows are made of what it has made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from trainwright.data.around import AroundCollator
from trainwright.data.mismatched import WRITTEN
from trainwright.loss.supervision import MISMATCHED
from trainwright.template.render import text_tokenizer

TYPES = ("token_type_ids", "mm_token_type_ids")


class ImageRows(AroundCollator):
    """A collator that puts a prompt, as the batch has it, before the answer of another row.

    TRL's own exchanges the answers of a micro-batch, so that its reference point depends on how a step is cut up.

    Args:
        collate: TRL's collator; it no longer makes mismatched rows.
    """

    def __init__(self, collate: Callable[[list[Any]], Any]) -> None:
        collate.calculate_kl = False  # type: ignore[attr-defined]
        super().__init__(collate)

    def __call__(self, examples: list[Any]) -> Any:
        """Collate. Rows without another's answer have a mismatched row of which no token counts."""
        rows = [{name: value for name, value in each.items() if name != WRITTEN} for each in examples]
        paired = WRITTEN in examples[0]
        answers = [self._answer(row, each[WRITTEN]) for row, each in zip(rows, examples, strict=True)] if paired else []
        batch = self.collate(rows)  # changes the rows
        if paired:
            batch.update(self._mismatched(batch, answers))
        return batch

    def _answer(self, row: Mapping[str, Any], answer: Any) -> list[int]:
        """The tokens of an answer as they follow the row's prompt."""
        from trl import apply_chat_template, prepare_multimodal_messages

        if not answer:
            return []
        text, processor = answer, self.collate.processor  # type: ignore[attr-defined]
        if not isinstance(answer, str):
            images = row["images"] if "images" in row else [row["image"]]
            prompt = prepare_multimodal_messages(row["prompt"], images=images)
            said = {**row, "prompt": prompt, "completion": prepare_multimodal_messages(answer)}
            text = apply_chat_template(said, processor)["completion"]
        ids: list[int] = text_tokenizer(processor)(text, add_special_tokens=False)["input_ids"]
        return ids

    def _mismatched(self, batch: Mapping[str, Tensor], answers: Sequence[list[int]]) -> dict[str, Tensor]:
        """TRL's keys of mismatched rows; images are shared with the batch's own rows."""
        is_prompt = (batch["attention_mask"] == 1) & (batch["completion_mask"] == 0)  # (B, S)
        made: dict[str, list[Tensor]] = {}
        for row, (mask, answer) in enumerate(zip(is_prompt, answers, strict=True)):
            ids, zeros = torch.tensor(answer, dtype=torch.long), torch.zeros(len(answer), dtype=torch.long)
            parts = {
                "input_ids": (batch["input_ids"][row, mask], ids),
                "attention_mask": (mask[mask].long(), zeros + 1),
                "completion_mask": (0 * mask[mask].long(), zeros + 1),
                **{name: (batch[name][row, mask], zeros) for name in TYPES if name in batch},
            }
            for name, both in parts.items():
                made.setdefault(name, []).append(torch.cat(both))
        pad = text_tokenizer(self.collate.processor).pad_token_id or 0  # type: ignore[attr-defined]
        return {
            MISMATCHED + name: pad_sequence(rows, batch_first=True, padding_value=pad if name == "input_ids" else 0)
            for name, rows in made.items()
        }
