"""Where another tool finds the picture of a claim: a pattern becomes a function."""

from collections.abc import Callable
from pathlib import Path
from string import Formatter
from urllib.parse import quote

from lskd.errors import UserError
from lskd.human.work import Claim
from lskd.storage.address import is_url

Address = Callable[[Claim], str]
FIELDS = ("image_id", "triple_id", "path", "name", "suffix")


def addresses(pattern: str, root: Path | None = None) -> Address:
    """Return the function that fills a pattern such as "https://host/{image_id}{suffix}".

    Fields are image_id, triple_id, path (from `root`, or else the absolute one without its first
    "/"), name and suffix of the file, each quoted as in a URL. A picture that lies at a URL has no
    such path: where the pattern names it, that URL is the address. Raises UserError for another
    field; the function raises it for a picture that is not in `root`.
    """
    try:
        named = {field for _, field, _, _ in Formatter().parse(pattern) if field is not None}
    except ValueError as error:
        raise UserError(f"address {pattern!r} cannot be read: {error}") from error
    unknown = named - set(FIELDS)
    if unknown:
        raise UserError(
            f"address {pattern!r} has the field {sorted(unknown)[0]!r}; fields: {', '.join(FIELDS)}"
        )

    def address(claim: Claim) -> str:
        if "path" in named and is_url(claim.path):
            return claim.path
        file = Path(claim.path)
        values = {
            "image_id": claim.triple.image_id,
            "triple_id": claim.triple.id,
            "path": _within(file, root) if "path" in named else "",
            "name": file.name,
            "suffix": file.suffix,
        }
        return pattern.format(**{name: quote(value) for name, value in values.items()})

    return address


def _within(file: Path, root: Path | None) -> str:
    absolute = file.resolve()
    if root is None:
        return absolute.as_posix().lstrip("/")
    if not absolute.is_relative_to(root.resolve()):
        raise UserError(f"{file} is not in {root}: expected a folder that holds all pictures")
    return absolute.relative_to(root.resolve()).as_posix()
