"""The page that shows a run of the lab: its scenes, Figure 2's curve, and who answers what.

It is the page of the stage `evaluate` with two sections of the lab before it.
"""

import base64
import html
import io
from pathlib import Path

from lskd import marking, table
from lskd.critique import curve
from lskd.evaluate.work import PAGE as EVALUATION
from lskd.lab import words
from lskd.lab.knowledge import ASKS
from lskd.lab.world import Staged, World
from lskd.picture import decode
from lskd.run import Run
from lskd.types import Region

PAGE = "lab.html"
SHOWN = 6  # scenes
MARK = '<section id="results">'  # the first section of the evaluation's page
STYLE = """<style>
.scenes { display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: 1rem }
.scenes figure { margin: 0 } .scenes img { width: 100%; border-radius: .4rem }
.scenes figcaption { font-size: .85rem } .scenes li { margin: .2rem 0 }
.curve svg { width: 100%; max-width: 44rem; height: auto; border-radius: .4rem }
</style>"""


def write(run: Run, world: World) -> Path:
    """Write the page of a run that was evaluated into its folder, and return it."""
    found = (run.folders["evaluate"] / EVALUATION).read_text(encoding="utf-8")
    svg = (run.folders["critic"] / curve.SVG).read_text(encoding="utf-8")
    before, after = found.split(MARK, 1)
    sections = "\n".join([STYLE, _scenes(world), _curve(svg)])
    text = f"{before}{sections}\n{MARK}{after}"
    file = run.own / PAGE
    with table.draft(file) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return file


def _scenes(world: World) -> str:
    figures = "\n".join(_figure(world, staged) for staged in world.of("test")[:SHOWN])
    return (
        '<section id="scenes"><h2>Scenes whose truth is known</h2>'
        '<p class="lead">A laboratory, not a benchmark: all is drawn, and what follows from what '
        "is seen stands in one table. None of these scenes was trained on.</p>"
        f'<div class="scenes">{figures}</div></section>'
    )


def _figure(world: World, staged: Staged) -> str:
    pixels = decode((world.folder / staged.file).read_bytes())
    regions = [Region(n, box, "", "", 1.0) for n, box in enumerate(staged.boxes)]
    large = pixels.resize((pixels.width * 3, pixels.height * 3))
    scaled = [marking.resized(region, pixels.size, large.size) for region in regions]
    encoded = io.BytesIO()
    marking.mark(large, scaled, "clear").save(encoded, "JPEG", quality=88, subsampling=0)
    data = base64.b64encode(encoded.getvalue()).decode()
    said = []
    for number, ask in zip(range(len(staged.boxes)), ASKS, strict=False):
        question = words.question(f"[{number}]", ask)
        said.append(f"{question} <b>{words.answer(staged.scene, number, ask).capitalize()}.</b>")
    items = "".join(f"<li>{line}</li>" for line in said)
    name = html.escape(staged.scene.place)
    return (
        f'<figure><img alt="a {name} with numbered regions" src="data:image/jpeg;base64,{data}">'
        f"<figcaption><ul>{items}</ul></figcaption></figure>"
    )


def _curve(svg: str) -> str:
    return (
        '<section id="critic"><h2>What the critic is worth (Figure 2)</h2>'
        '<p class="lead">Judged by simulated annotators, on images that the critic never saw.</p>'
        f'<div class="curve">{svg}</div></section>'
    )
