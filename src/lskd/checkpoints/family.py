"""How each family of vision-language models wants to be asked.

Models with a chat template are asked in messages. Those without one each have a form of their own,
which the table below gives; a family that is in neither way known is refused.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Template
from typing import Any, Literal

import PIL.Image

from lskd.errors import UserError
from lskd.prompt import prompt_file

Task = Literal["narrative", "region", "answer"]


@dataclass(frozen=True, slots=True)
class Form:
    """What a family without chat messages reads for each task; None where it cannot do that."""

    narrative: str
    region: str
    answer: str | None


# None: the family follows instructions and reads the words of our prompt files as they are.
FORMS: Mapping[str, Form | None] = {
    "blip-2": Form(
        narrative="",
        region="Question: what is inside the coloured box? Answer:",
        answer="Question: $question Short answer:",
    ),
    "instructblip": None,
    # It was trained on fixed task words only, none of which takes a free question.
    "florence2": Form(narrative="<MORE_DETAILED_CAPTION>", region="<CAPTION>", answer=None),
}


class Asker:
    """Puts a task and a picture into the form that a model reads."""

    def __init__(self, processor: Any, kind: str, prompts: Mapping[Task, str | None]) -> None:
        """Choose the form for a model of type `kind`.

        `prompts` are names of our prompt files or paths of the user's; None means what suits the
        family. Raises UserError for a prompt that is not there, or a family that is not known.
        """
        tokenizer = processor.tokenizer
        self.processor = processor
        self.kind = kind
        self.chats = bool(
            getattr(processor, "chat_template", None) or getattr(tokenizer, "chat_template", None)
        )
        if not self.chats and kind not in FORMS:
            raise UserError(
                f"a {kind} model without a chat template cannot be asked; known are models with "
                f"one, and {', '.join(FORMS)}"
            )
        self.templates = {task: self._template(task, name) for task, name in prompts.items()}
        # Texts that the tokenizer reads as one control token; foreign text must not hold any.
        added = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
        marks = sorted((one for one in added if not one.isalnum() and one.strip()), key=len)
        self.control = re.compile("|".join(map(re.escape, reversed(marks)))) if marks else None

    def text(self, task: Task, question: str = "") -> str:
        """Return the whole prompt of a task, as the tokenizer reads it.

        Control tokens in the question lose their brackets: it stays a question. Raises UserError
        if this family cannot do the task.
        """
        template = self.templates[task]
        if template is None:
            raise UserError(f"a {self.kind} model has no way to do this: {task}; use another model")
        words = Template(template).safe_substitute(question=self._plain(question))
        if not self.chats:
            return words
        content = [{"type": "image"}, {"type": "text", "text": words}]
        told: str = self.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        return told

    def inputs(self, pictures: Sequence[PIL.Image.Image], texts: Sequence[str]) -> Any:
        """Return the tensors of a batch, texts padded to the longest."""
        start = self.processor.tokenizer.bos_token
        # A chat template may have written the token that begins a text already.
        begun = self.chats and bool(start) and texts[0].startswith(start)
        return self.processor(
            images=[[one] for one in pictures] if self.chats else list(pictures),
            text=list(texts),
            padding=True,
            return_tensors="pt",
            **({"add_special_tokens": False} if begun else {}),
        )

    def _template(self, task: Task, name: str | None) -> str | None:
        """Return the words of a task: the user's, the family's, or ours; None if it cannot."""
        form = None if self.chats else FORMS[self.kind]
        if name is None and form is not None:
            told: str | None = getattr(form, task)
            return told
        file = prompt_file("lskd.verbalize", name or f"vlm_{task}")
        words = file.read_text(encoding="utf-8").strip()
        if task == "answer" and "$question" not in words:
            raise UserError(f"prompt {file} has no $question, so no question would be asked")
        return words

    def _plain(self, text: str) -> str:
        """Return text without control tokens: "<image>" becomes "image"."""
        if self.control is None:
            return text
        return self.control.sub(lambda found: " ".join(re.findall(r"\w+", found[0])), text)
