"""A student that chats is spread over two processes (FSDP), and learns what one process does."""

from collections.abc import Callable
from pathlib import Path

import chat_checkpoints
import pytest
import spread

import house

ADAPTERS = "generative/student/writer/adapter_model.safetensors"
GENERATIVE = """
[generative]
student = { use = "lskd.writing.chat:ChatWriter", checkpoint = "base", rank = 4 }
tokens = 6
steps = 4
batch = 4
precision = "float32"
learning_rate = 1e-3
workers = 1
save_every = 2
"""
FAMILIES = {"smolvlm": chat_checkpoints.write_smolvlm, "qwen2_vl": chat_checkpoints.write_qwen2_vl}


@pytest.mark.timeout(900)
@pytest.mark.check
@pytest.mark.parametrize("family", FAMILIES)
def test_adapters_on_two_processes_end_as_on_one(
    tmp_path: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = house.build(tmp_path)
    file.write_text(file.read_text() + GENERATIVE)
    write: Callable[[Path], Path] = FAMILIES[family]
    write(tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    alone = spread.ends_as_on_one(tmp_path, ADAPTERS)
    assert alone[-1] != pytest.approx(alone[0], abs=1e-2)
