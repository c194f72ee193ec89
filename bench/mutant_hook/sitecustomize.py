"""Python imports this by itself where the folder is on PYTHONPATH: a mutant takes a module's place.

In: LSKD_MUTANT="module=file" in the environment. Out: an import of that module runs the source in
the file, in this process and in those that it starts; the tree is never touched.
"""

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType


class Substitute(importlib.machinery.SourceFileLoader):
    """Loads a module as from its own file, but with another source."""

    def __init__(self, name: str, path: str, source: Path) -> None:
        super().__init__(name, path)
        self.source = source

    def get_code(self, fullname: str) -> CodeType:
        """Return the other source, compiled; no bytecode is read or kept."""
        return compile(self.source.read_text("utf-8"), self.path, "exec", dont_inherit=True)


class Finder:
    """Finds one module, where the usual way finds it, and gives it to `Substitute`."""

    def __init__(self, name: str, source: Path) -> None:
        self.name = name
        self.source = source

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return where a module comes from, or None for all but the one."""
        if name != self.name:
            return None
        found = importlib.machinery.PathFinder.find_spec(name, path, target)
        assert found is not None and found.origin is not None
        loader = Substitute(name, found.origin, self.source)
        return importlib.util.spec_from_file_location(
            name,
            found.origin,
            loader=loader,
            submodule_search_locations=found.submodule_search_locations,
        )


def install() -> None:
    """Put the mutant of the environment before all that is imported from now on."""
    name, file = os.environ["LSKD_MUTANT"].split("=", 1)
    sys.meta_path.insert(0, Finder(name, Path(file)))


if "LSKD_MUTANT" in os.environ:
    install()
