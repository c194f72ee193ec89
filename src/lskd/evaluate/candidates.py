"""The candidate lists that VisualCOMET's authors published, with their model's ranks beside them.

The file is what their ranking program writes: {"mean_recall": ..., "results": [...]}, one result
for each image, event and relation, with `img_fn`, `event`, `inference_relation` and
`inference_candidate_indices`. The indices count all inferences of the split: row by row of the
annotations, in a row intent, before, after; a group's own come first. The list alone, or an object
of groups by any name, is read as well, since the published file itself could not be seen here; that
its groups begin with their own inferences shows that both files count alike, and is checked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lskd.errors import UserError
from lskd.evaluate.rows import Wrong, loaded

Key = tuple[str, str, str]
INDICES = "inference_candidate_indices"


@dataclass(frozen=True, slots=True)
class Published:
    """The candidates of each image, event and relation, as a file has them."""

    file: Path
    lists: Mapping[Key, object]

    def candidates(self, key: Key, own: tuple[int, ...], count: int) -> tuple[int, ...]:
        """Return the candidates of a group, which begin with its `own`.

        Raises Wrong if the file has none for it, or if it does not fit annotations with `count`
        inferences.
        """
        if key not in self.lists:
            raise Wrong(f"{self.file.name} has no candidates for it")
        listed = self.lists[key]
        if not isinstance(listed, list) or not all(type(place) is int for place in listed):
            raise Wrong(f"{self.file.name}: its {INDICES} are no list of whole numbers")
        if sorted(listed[: len(own)]) != sorted(own):
            raise Wrong(
                f"its candidates in {self.file.name} do not begin with its own inferences: the "
                "file is of other annotations"
            )
        if len(set(listed)) != len(listed) or not all(0 <= place < count for place in listed):
            raise Wrong(f"{self.file.name}: its {INDICES} repeat, or are not 0 to {count - 1}")
        return tuple(listed)


def published(file: Path) -> Published:
    """Return the lists of a file of published candidates.

    Raises UserError if it is no JSON or has no groups with candidates.
    """
    value = loaded(file)
    if isinstance(value, dict):
        results = value.get("results")
        value = results if isinstance(results, list) else list(value.values())
    listed = value if isinstance(value, list) else []
    groups = [group for group in listed if isinstance(group, dict)]
    lists = {
        (
            str(group.get("img_fn")),
            str(group.get("event")),
            str(group.get("inference_relation", group.get("relation"))),
        ): group[INDICES]
        for group in groups
        if INDICES in group
    }
    if not lists:
        raise UserError(
            f"{file} has no groups with {INDICES}: take the file as the authors publish it, or "
            "remove it to have candidates drawn"
        )
    return Published(file, lists)
