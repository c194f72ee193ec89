"""Text that files and tables can hold."""


def mended(text: str) -> str:
    """Return a text with U+FFFD for each half of a surrogate pair, as JSON can escape it."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
