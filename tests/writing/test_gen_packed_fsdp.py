"""A student of which all layers are trained on packed rows is spread over two processes (FSDP)."""

from pathlib import Path

import chat_checkpoints
import pytest
import spread

import house

LAYERS = "generative/student/writer/trained.safetensors"
GENERATIVE = """
[generative]
student = { use = "lskd.writing.chat:ChatWriter", checkpoint = "base", trains = "layers" }
tokens = 6
steps = 3
batch = 2
packed = true
precision = "float32"
learning_rate = 1e-3
workers = 1
save_every = 2
"""


@pytest.mark.timeout(900)
@pytest.mark.check
def test_layers_on_two_processes_end_as_on_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = house.build(tmp_path)
    file.write_text(file.read_text() + GENERATIVE)
    chat_checkpoints.write_internvl(tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    spread.ends_as_on_one(tmp_path, LAYERS)
