"""A campaign of judging leaves as a file: what people said, or what other tools are to ask.

The Parquet and CSV files of judgments can stand at `critic.judgments` of a run file as they are.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastapi import Response

from lskd.human import export, label_studio, sheet
from lskd.human.address import addresses
from lskd.human.work import Claim
from lskd.studio.desk import Desk
from lskd.studio.pages import saved

Form = Literal[
    "judgments.parquet",
    "judgments.csv",
    "entries.jsonl",
    "items.csv",
    "tasks.json",
    "config.xml",
]
PICTURES = "{name}"  # another platform finds pictures by the names of their files


@dataclass(frozen=True, slots=True)
class About:
    """What a form holds, in words for the researcher, and its media type."""

    title: str
    media: str


FORMS: Mapping[Form, About] = {
    "judgments.parquet": About(
        "judgments, as the critic reads them", "application/vnd.apache.parquet"
    ),
    "judgments.csv": About("the same as a sheet", "text/csv; charset=utf-8"),
    "entries.jsonl": About("all entries, with skips, flags and undone ones", "application/jsonl"),
    "items.csv": About("the items, for any other platform", "text/csv; charset=utf-8"),
    "tasks.json": About("the items as tasks of Label Studio", "application/json"),
    "config.xml": About("the labelling configuration of Label Studio", "application/xml"),
}


def made(desk: Desk, campaign: str, form: Form) -> Response:
    """Return a campaign in one of the forms.

    A file is made anew each time that it is asked for, in a temporary folder. What other tools are
    to ask are the items whose answer is not known.
    """
    with tempfile.TemporaryDirectory(prefix="lskd-") as folder:
        data = _content(desk, campaign, form, Path(folder))
    return Response(data, media_type=FORMS[form].media, headers=saved(form))


def _content(desk: Desk, campaign: str, form: Form, folder: Path) -> bytes:
    file = folder / form
    if form in ("judgments.parquet", "judgments.csv", "entries.jsonl"):
        export.write(desk.store, campaign, file)
        return file.read_bytes()
    items = desk.store.posed(campaign)
    asked = [one.what for one in items if isinstance(one.what, Claim) and one.gold is None]
    if form == "items.csv":
        sheet.write(asked, file, addresses(PICTURES))
        return file.read_bytes()
    if form == "tasks.json":
        return label_studio.tasks(asked, addresses(label_studio.LOCAL_FILES)).encode()
    return label_studio.configuration(asked).encode()
