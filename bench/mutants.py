"""Mutation test: make one small mistake in a module, and see whether its tests find it.

    python bench/mutants.py                      # a sample of each module of mutants.toml
    python bench/mutants.py metrics lskd.marking # of a group, or of a module
    python bench/mutants.py --sample 0 parser    # every mutant

A line that a test runs may still be a line that no test checks; a mutant shows which. `mutate.py`
makes the mutants, with cosmic-ray's operators, and `mutants.toml` names modules, tests, and the
mutants that no test can find since they do the same (equivalent), each with the reason. Of a module
a seeded sample is drawn.

A mutant costs a fork, not a start: one process per module imports pytest and all that its tests
need but not the package itself, then splits for each mutant, in which `mutant_hook` puts the mutant
in the module's place. The tree is read only. A mutant is killed if a test fails, nothing can be
imported, or it takes far longer than the module itself. The quickest tests come first; hypothesis
draws the same examples for all and shrinks none. What was killed stays so while the module is the
same, unless --afresh: more tests kill no fewer. cosmic-ray and parso are installed into `--tool`,
not into the environment. Exit code 1 if fewer than `--least` of a group's mutants are killed, those
aside that do the same.
"""

import argparse
import contextlib
import gc
import hashlib
import importlib.util
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
HOOK = Path(__file__).parent / "mutant_hook"
TOOL = ("cosmic-ray==8.7.0", "parso==0.8.7")
MEMORY = 6 * 2**30  # bytes that a mutant may take; some never stop asking
SLOWER, GRACE = 5, 20.0  # times and seconds over the module's own time after which a mutant is dead

Change = tuple[str, str, str]  # module, was, becomes


@dataclass(frozen=True, slots=True)
class Target:
    """A module and the files of tests that are to find its mistakes."""

    name: str
    group: str
    tests: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Return the module's file."""
        path = ROOT / "src" / Path(*self.name.split("."))
        return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@dataclass(frozen=True, slots=True)
class How:
    """How many mutants of a module are drawn, from which seed, how they are tried, and where."""

    most: int
    seed: int
    examples: int  # of each of hypothesis' tests
    work: Path


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a mutant: "killed", "survived" or "equivalent"."""

    line: int
    was: str
    becomes: str
    fate: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Round:
    """A module's mutants: how many there are, and those that were tried."""

    target: Target
    mutants: int
    found: tuple[Found, ...]

    def count(self, fate: str) -> int:
        """Return how many had a fate."""
        return sum(one.fate == fate for one in self.found)


class Quickest:
    """A plugin of pytest: tests run in order of the seconds that they took without a mutant."""

    def __init__(self, notes: Path) -> None:
        self.notes = notes
        self.known: dict[str, float] = json.loads(notes.read_text()) if notes.exists() else {}
        self.taken: dict[str, float] = {}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Put the quickest first: most mutants die by any of many tests."""
        items.sort(key=lambda item: self.known.get(item.nodeid, 0.0))

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Add up how long a test takes, with all that is made for it."""
        self.taken[report.nodeid] = self.taken.get(report.nodeid, 0.0) + report.duration

    def pytest_sessionfinish(self) -> None:
        """Keep the seconds, once."""
        if not self.known:
            self.notes.write_text(json.dumps(self.taken))


def main() -> None:
    """Try the mutants, print the table and those that survived."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="groups or modules; all if none is given")
    parser.add_argument("--sample", type=int, default=60, help="mutants of a module; 0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--examples", type=int, default=100, help="of each test of properties")
    parser.add_argument("--least", type=float, default=0.85, help="share that is to be killed")
    parser.add_argument("--tool", type=Path, default=ROOT / "out" / "mutants" / "tool")
    parser.add_argument("--work", type=Path, default=ROOT / "out" / "mutants")
    parser.add_argument("--afresh", action="store_true", help="try again what was killed before")
    given = parser.parse_args()
    if given.afresh:
        for graves in given.work.glob("*.killed"):
            graves.unlink()
    targets, equivalent = read(Path(__file__).with_suffix(".toml"))
    known = {name for one in targets for name in (one.name, one.group)}
    if unknown := set(given.names) - known:
        sys.exit(
            f"no module or group {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
        )
    install(given.tool)
    rounds = []
    for target in targets:
        if not given.names or {target.name, target.group} & set(given.names):
            how = How(given.sample or sys.maxsize, given.seed, given.examples, given.work)
            rounds.append(tried(target, equivalent, how))
            print(row(rounds[-1]), flush=True)
    sys.exit(0 if report(rounds, given.least) else 1)


def read(file: Path) -> tuple[list[Target], set[Change]]:
    """Return the targets, and which changes of which module do the same."""
    content = tomllib.loads(file.read_text("utf-8"))
    targets = [Target(one["name"], one["group"], tuple(one["tests"])) for one in content["module"]]
    same = {
        change(one["module"], one["was"], becomes)
        for one in content.get("equivalent", [])
        for becomes in one["becomes"]
    }
    return targets, same


def change(module: str, was: str, becomes: str) -> Change:
    """Return what a change is known by, blanks aside."""
    return module, "".join(was.split()), "".join(becomes.split())


def install(folder: Path) -> None:
    """Have cosmic-ray and its parser in a folder, without what else it asks for."""
    if not (folder / "cosmic_ray").is_dir():
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, "--no-deps", "--target", str(folder), *TOOL], check=True)
    sys.path.append(str(folder))


def tried(target: Target, equivalent: set[Change], how: How) -> Round:
    """Return what became of a module's mutants, from a process of its own."""
    how.work.mkdir(parents=True, exist_ok=True)
    notes = how.work / f"{target.name}.jsonl"
    child = os.fork()
    if not child:
        code = 1
        with contextlib.suppress(KeyboardInterrupt):
            code = nursery(target, equivalent, how, notes)
        sys.stdout.flush()
        os._exit(code)
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(f"{target.name}: its tests fail without a mutant; see {notes.with_suffix('.log')}")
    number, *found = map(json.loads, notes.read_text("utf-8").splitlines())
    return Round(target, number, tuple(Found(**one) for one in found))


def nursery(target: Target, equivalent: set[Change], how: How, notes: Path) -> int:
    """Try a module's mutants in forks of this process, and note each; return the exit code."""
    from mutate import mutants

    source = target.path.read_text("utf-8")
    number, drawn = mutants(source, how.most, random.Random(f"{how.seed}/{target.name}"))
    warm(target.tests, how.examples)
    notes.with_suffix(".seconds").unlink(missing_ok=True)
    log = notes.with_suffix(".log")
    passed, seconds = attempt(target, source, log, limit=600.0)
    if not passed:
        return 1
    graves = notes.with_suffix(".killed")
    dead = set(graves.read_text("utf-8").splitlines()) if graves.exists() else set()
    digest = hashlib.sha256(source.encode()).hexdigest()
    with notes.open("w", encoding="utf-8") as out, graves.open("a", encoding="utf-8") as buried:
        print(number, file=out)
        for one in drawn:
            name = json.dumps([digest, one.line, one.was, one.becomes])
            fate, took = "killed", 0.0
            if change(target.name, one.was, one.becomes) in equivalent:
                fate = "equivalent"
            elif name not in dead:
                survived, took = attempt(target, one.source, log, SLOWER * seconds + GRACE)
                fate = "survived" if survived else "killed"
            if fate == "killed" and name not in dead:
                print(name, file=buried, flush=True)
            found = Found(one.line, one.was, one.becomes, fate, round(took, 2))
            print(json.dumps(asdict(found)), file=out, flush=True)
    return 0


def warm(tests: Sequence[str], examples: int) -> None:
    """Import what the tests need, but for the package and the tests, which each fork imports."""
    os.chdir(ROOT)
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(HOOK), os.environ.get("PYTHONPATH")))
    )
    import pytest

    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", *tests])
    # Not before pytest, which would complain that it cannot rewrite what is imported already.
    from hypothesis import HealthCheck, Phase, settings

    settings.register_profile(
        "mutants",
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if name.split(".")[0] == "lskd" or file.startswith(str(ROOT / "tests")):
            del sys.modules[name]
    gc.freeze()  # a collection in a fork would copy all that it looks at


def attempt(target: Target, source: str, log: Path, limit: float) -> tuple[bool, float]:
    """Return whether the tests pass with a source in the module's place, and their seconds."""
    file = log.with_suffix(".mutant")
    file.write_text(source, "utf-8")
    began = time.monotonic()
    child = os.fork()
    if not child:
        os._exit(tests_of(target, file, log))
    status = None
    while status is None and time.monotonic() - began < limit:
        done, code = os.waitpid(child, os.WNOHANG)
        status = code if done else None
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # and those it started, which may wait for each other
    if status is None:
        os.waitpid(child, 0)
    shutil.rmtree(log.with_suffix(".tmp"), ignore_errors=True)
    return status == 0, time.monotonic() - began


def tests_of(target: Target, file: Path, log: Path) -> int:
    """Run the tests in this process, which ends with them; return pytest's exit code."""
    import pytest

    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    os.environ["LSKD_MUTANT"] = f"{target.name}={file}"
    with log.open("wb") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    hook = importlib.util.spec_from_file_location("mutant_hook", HOOK / "sitecustomize.py")
    assert hook is not None and hook.loader is not None
    hook.loader.exec_module(importlib.util.module_from_spec(hook))
    quiet = ["-x", "-q", "--tb=short", "-p", "no:cacheprovider", "-o", "timeout=0"]
    quiet += ["--hypothesis-profile=mutants", f"--basetemp={log.with_suffix('.tmp')}"]
    try:
        plugin = Quickest(log.with_suffix(".seconds"))
        return int(pytest.main([*quiet, *target.tests], plugins=[plugin]))
    except BaseException:  # a mutant may do anything, and whatever it does is seen
        return 1


def row(one: Round) -> str:
    """Return a module's line of the table."""
    killed, survived, same = map(one.count, ("killed", "survived", "equivalent"))
    share = killed / (killed + survived) if killed + survived else 1.0
    tried_of = f"{len(one.found)} of {one.mutants}"
    return (
        f"{one.target.group:10}  {one.target.name:34}  {tried_of:>12}  {killed:6}  {survived:8}  "
        f"{same:10}  {share:6.1%}"
    )


def report(rounds: Sequence[Round], least: float) -> bool:
    """Print the table, its groups and the survivors; return whether every group has the least."""
    head = ("group", "module", "tried", "killed", "survived", "equivalent", "share")
    print("\n{:10}  {:34}  {:>12}  {:>6}  {:>8}  {:>10}  {:>6}".format(*head))
    for one in rounds:
        print(row(one))
    enough = True
    for group in dict.fromkeys(one.target.group for one in rounds):
        mine = [one for one in rounds if one.target.group == group]
        killed, survived = (sum(one.count(fate) for one in mine) for fate in ("killed", "survived"))
        share = killed / (killed + survived) if killed + survived else 1.0
        enough &= share >= least
        print(f"{group}: {killed} of {killed + survived} killed, {share:.1%}; least {least:.0%}")
    for one in rounds:
        for found in one.found:
            if found.fate == "survived":
                where = f"{one.target.path.relative_to(ROOT)}:{found.line}"
                print(f"\n{where}\n  - {found.was}\n  + {found.becomes}")
    return enough


if __name__ == "__main__":
    main()
