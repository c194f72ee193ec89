"""The pages of the reference, made from the code while the site is built (a hook of MkDocs).

`reference/index.md` lists every package, one page each shows the docstrings of its modules,
`reference/command-line.md` every command with its options, and `reference/run-files.md` every
section of a run file with its settings. Nothing of them lies in the repository.
"""

import ast
import inspect
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from typer.main import get_command

from lskd.cli import app
from lskd.cli.help import written
from lskd.stages import STAGES

SOURCE = Path(__file__).parents[1] / "src" / "lskd"
SECTION = "Reference"
HOUSE = "house"  # the page of modules that lie in no package


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of the packages into the navigation."""
    pages = [{"lskd": f"reference/{HOUSE}.md"}]
    pages += [{f"lskd.{name}": f"reference/{name}.md"} for name in packages()]
    for entry in config.nav or ():
        if isinstance(entry, dict) and SECTION in entry:
            entry[SECTION].extend(pages)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those that lie in the folder."""
    made = {
        "index": index(),
        "command-line": command_line(),
        "run-files": run_files(),
        HOUSE: modules_page("lskd", "Modules that belong to no package.", own()),
    }
    for name in packages():
        folder = SOURCE / name
        made[name] = modules_page(f"lskd.{name}", docstring(folder / "__init__.py"), inside(folder))
    for name, text in made.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def packages() -> list[str]:
    """Return the names of the packages in lskd."""
    return sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))


def own() -> list[Path]:
    """Return the modules that lie directly in lskd."""
    return [path for path in sorted(SOURCE.glob("*.py")) if not path.stem.startswith("__")]


def inside(folder: Path) -> list[Path]:
    """Return the modules of a package, those of packages within it included."""
    return [path for path in sorted(folder.rglob("*.py")) if not path.stem.startswith("__")]


def dotted(path: Path) -> str:
    """Return a module's name, as it is imported."""
    return ".".join(("lskd", *path.relative_to(SOURCE).with_suffix("").parts))


def docstring(path: Path) -> str:
    """Return the docstring of a module, or ""."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def modules_page(name: str, about: str, modules: Sequence[Path]) -> str:
    """Return a page that shows modules one after the other."""
    shown = "\n\n".join(f"::: {dotted(path)}" for path in modules)
    return f"# {name}\n\n{about}\n\n{shown}\n"


def index() -> str:
    """Return the list of packages, each with the first sentence of its docstring."""
    lines = ["# Reference", "", "Made from the docstrings of the code.", ""]
    lines += ["- [The command line](command-line.md): every command and option."]
    lines += ["- [Run files](run-files.md): every section and setting."]
    lines += [f"- [`lskd`]({HOUSE}.md): modules that belong to no package."]
    for name in packages():
        about = docstring(SOURCE / name / "__init__.py").partition("\n\n")[0]
        lines.append(f"- [`lskd.{name}`]({name}.md): {' '.join(about.split())}")
    return "\n".join(lines) + "\n"


def command_line() -> str:
    """Return every command with its help, arguments and options."""
    root = get_command(app)
    shown = "\n\n".join(commands(root, ("lskd",)))
    return f"# The command line\n\n{plain(root.epilog or '')}\n\n{shown}\n"


def commands(group: Any, words: tuple[str, ...]) -> Iterator[str]:
    """Yield the text of each command of a group, and of groups within it."""
    for name, command in group.commands.items():
        here = (*words, name)
        if hasattr(command, "commands"):
            yield f"## {' '.join(here)}\n\n{plain(command.help or '')}"
            yield from commands(command, here)
        else:
            yield one_command(command, here)


def one_command(command: Any, words: tuple[str, ...]) -> str:
    """Return the text of a command."""
    rows = []
    for each in command.params:
        is_option = each.param_type_name == "option"
        name = ", ".join(each.opts) if is_option else each.metavar or each.name.upper()
        if is_option and each.metavar:
            name += f" {each.metavar}"
        must = " *Required.*" if each.required else ""
        rows.append(
            f"| `{name.replace('|', chr(92) + '|')}` | {cell(written(each.help or ''))}{must} |"
        )
    table = "\n".join(["| argument or option | what it does |", "|---|---|", *rows]) if rows else ""
    level = "#" * min(2 + (len(words) > 2), 4)
    return f"{level} {' '.join(words)}\n\n{plain(command.help or '')}\n\n{table}"


def run_files() -> str:
    """Return every section of a run file with its settings."""
    parts = [
        "# Run files",
        "A section for each stage, in the order of work. *No row changes* marks settings that "
        "change how a stage works and nothing that it makes. `seed`, `extends` and `[models]` "
        "stand beside the sections; [how a run file is read](house.md) tells more.",
    ]
    for stage in STAGES:
        optional = " Part of a run only if the run file has it." if stage.optional else ""
        about = inspect.getdoc(stage.settings) or ""
        parts += [f"## [{stage.name}]", about + optional, settings_table(stage.settings)]
    return "\n\n".join(parts) + "\n"


def settings_table(section: type[BaseModel]) -> str:
    """Return the settings of a section with their types and defaults."""
    rows = ["| setting | type | default |", "|---|---|---|"]
    for name, info in section.model_fields.items():
        kind = str(info.annotation)
        kind = info.annotation.__name__ if inspect.isclass(info.annotation) else kind
        kind = re.sub(r"\b(?:typing|lskd(?:\.\w+)+|annotated_types)\.", "", kind)
        default = "*required*" if info.is_required() else f"`{info.get_default()!r}`"
        idle = " (no row changes)" if "WithoutEffect" in repr(info.metadata) else ""
        rows.append(f"| `{name}` | {cell(f'`{kind}`')} | {cell(default)}{idle} |")
    return "\n".join(rows)


def plain(text: str) -> str:
    """Return help as Markdown: its hard-wrapped paragraphs."""
    return inspect.cleandoc(written(text).replace("\b", "")).replace("<", "&lt;")


def cell(text: str) -> str:
    """Return a text as it can stand in a cell of a table."""
    return " ".join(text.split()).replace("|", r"\|").replace("<", "&lt;")
