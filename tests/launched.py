"""The command line under a launcher: several processes on this machine's processor, by gloo."""

import os
import subprocess
import sys
from pathlib import Path

FSDP = Path(__file__).parents[1] / "runs/accelerate/fsdp.yaml"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
ACCELERATE = (
    *("-m", "accelerate.commands.launch", "--config_file", str(FSDP)),
    *("--num_processes", "2", "--main_process_port", "0"),
)


def lskd(folder: Path, *words: str, launcher: tuple[str, ...] = ()) -> str:
    """Run a command of lskd in a folder; return what it printed, both streams in one."""
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, *launcher, "-m", "lskd", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def lskd_twice(folder: Path, *words: str) -> str:
    """Run a command of lskd by two processes, as torchrun starts them."""
    return lskd(folder, *words, launcher=TORCHRUN)


def lskd_spread(folder: Path, *words: str) -> str:
    """Run a command of lskd by two processes that keep a share of a model each (FSDP)."""
    return lskd(folder, *words, launcher=ACCELERATE)
