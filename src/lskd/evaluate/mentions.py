"""Token lists become texts with tags; texts tell which regions are drawn, and in which order.

Ids here are a benchmark's own, from 0. The tags of an item keep them: that a model reads "[0]" for
the first region that is drawn is the protocol's work.
"""

from collections.abc import Iterable, Sequence

from lskd.evaluate.rows import Wrong
from lskd.marking.tags import named

Token = str | tuple[int, ...]
EVERYONE = frozenset(("everyone", "everyones"))


def tokens(value: object, count: int) -> tuple[Token, ...]:
    """Return a list of words and of lists of region ids, which keep their order.

    Raises Wrong for anything else, and for an id that is not 0 to `count` - 1.
    """
    if not isinstance(value, list):
        raise Wrong(f"not a list of words and ids: {value!r}")
    return tuple(_token(part, count) for part in value)


def worded(said: Sequence[Token]) -> str:
    """Return tokens as a text, blanks between them: ids become "[2]", several "[2] , [0]".

    Raises Wrong if words read like a tag, since a region would seem to be named that is not.
    """
    text = " ".join(
        token if isinstance(token, str) else " , ".join(f"[{region_id}]" for region_id in token)
        for token in said
    )
    listed = {region_id for token in said if not isinstance(token, str) for region_id in token}
    if set(named(text)) != listed:
        raise Wrong(f"words that read like a region's tag: {text!r}")
    return text


def mentioned(texts: Iterable[Sequence[Token]], persons: Sequence[int]) -> tuple[int, ...]:
    """Return the ids that texts name, each once, in the order of first mention.

    The words "everyone" and "everyones" name all `persons`, and texts that name nothing are about
    all of them too, as the authors' code of VCR has it.
    """
    order: dict[int, None] = {}
    for text in texts:
        for token in text:
            if not isinstance(token, str):
                order |= dict.fromkeys(token)
            elif token.lower() in EVERYONE:
                order |= dict.fromkeys(persons)
    return tuple(order or dict.fromkeys(persons))


def _token(part: object, count: int) -> Token:
    if isinstance(part, str):
        return part
    if not isinstance(part, list) or not part:
        raise Wrong(f"a token that is neither a word nor a list of ids: {part!r}")
    ids = []
    for region_id in part:
        if not isinstance(region_id, int) or isinstance(region_id, bool):
            raise Wrong(f"an object index that is no whole number: {region_id!r}")
        if not 0 <= region_id < count:
            known = f"0 to {count - 1}" if count else "no objects"
            raise Wrong(f"unknown object index {region_id}; the image has {known}")
        ids.append(region_id)
    return tuple(ids)
