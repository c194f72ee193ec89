"""The training loop with FSDP: two processes end in the weights of one, also from a checkpoint."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import ranks_fit
import torch
from safetensors.torch import load_file
from test_writing_ranks_fsdp import SETTINGS, steady

from tiny_writers import write_blip2_writer


# In `make test` two processes train a writer in test_writing_ranks_fsdp.py, and a student from a
# checkpoint in training/test_training_ranks.py.
@pytest.mark.check
@pytest.mark.timeout(900)
def test_a_training_on_two_processes_ends_in_the_weights_of_one_also_from_a_checkpoint(
    tmp_path: Path,
) -> None:
    folder = steady(write_blip2_writer(tmp_path / "t5", "t5"))
    paths = os.pathsep.join(path for path in sys.path if path)
    words = ["-m", "accelerate.commands.launch", "--config_file", str(SETTINGS)]
    words += ["--num_processes", "2", "--main_process_port", "0", str(ranks_fit.__file__)]
    done = subprocess.run(
        [sys.executable, *words, str(folder)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    start = load_file(folder / "student/trained.safetensors")
    again = load_file(folder / "again/trained.safetensors")
    alone = dict(ranks_fit.train(folder, tmp_path / "alone").module.model.named_parameters())
    for name, weight in start.items():
        torch.testing.assert_close(weight, alone[name].detach(), atol=1e-4, rtol=0)
        torch.testing.assert_close(again[name], weight, atol=1e-6, rtol=0)
