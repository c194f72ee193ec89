"""Who may come in, and how large a request may be: the settings of the studio's guard."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from lskd.errors import UserError

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
SHORTEST_TOKEN = 16  # characters; a token is all that stands between the corpus and a network


@dataclass(frozen=True, slots=True)
class Safety:
    """What the guard goes by.

    `host` is the address that the studio listens on, `token` what its owner shows, or None where
    only this machine can reach it. `body` and `upload` are the most bytes of a request, the second
    for paths that end in "/upload"; `pixels` are those of an uploaded picture. `key` signs tokens
    against forged requests; it is new with each start.
    """

    host: str = "127.0.0.1"
    token: str | None = None
    body: int = 1_000_000
    upload: int = 25_000_000
    pixels: int = 40_000_000
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    @property
    def local(self) -> bool:
        """Return whether only this machine can reach the studio."""
        return self.host in LOOPBACK


def check(safety: Safety) -> None:
    """Raise UserError for a studio that others could enter unasked."""
    if safety.token is None and not safety.local:
        raise UserError(
            f"--host {safety.host} can be reached by others: give --token, or set "
            "LSKD_STUDIO_TOKEN, to a secret of 16 characters or more"
        )
    if safety.token is not None and (
        len(safety.token) < SHORTEST_TOKEN or not safety.token.isascii() or "/" in safety.token
    ):
        raise UserError(
            f"--token: {len(safety.token)} characters; give {SHORTEST_TOKEN} or more, of ASCII "
            "and without '/'"
        )


def same(given: str, right: str) -> bool:
    """Return whether two secrets are the same, in a time that tells nothing."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), right.encode())


def pass_of(safety: Safety) -> str:
    """Return what the owner's cookie holds: a sign made from the token, not the token itself."""
    return hmac.new(b"lskd studio owner", (safety.token or "").encode(), hashlib.sha256).hexdigest()


def new_csrf(safety: Safety) -> str:
    """Return a new signed token against forged requests."""
    nonce = secrets.token_urlsafe(18)
    return f"{nonce}.{_signature(safety, nonce)}"


def is_csrf(safety: Safety, token: str) -> bool:
    """Return whether this studio, since its start, signed a token."""
    nonce, _, signature = token.partition(".")
    return same(signature, _signature(safety, nonce))


def _signature(safety: Safety, nonce: str) -> str:
    message = nonce.encode("utf-8", "replace")
    return hmac.new(safety.key, message, hashlib.sha256).hexdigest()
