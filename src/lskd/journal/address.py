"""Where the driver's journal service is, and the token that opens it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from lskd.errors import UserError

URL_VARIABLE = "LSKD_JOURNAL"
TOKEN_VARIABLE = "LSKD_JOURNAL_TOKEN"


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a journal service, and its token, which shows itself in no text."""

    url: str
    token: str = field(repr=False)

    def environment(self) -> dict[str, str]:
        """Return the variables by which a worker's process finds the service."""
        return {URL_VARIABLE: self.url, TOKEN_VARIABLE: self.token}


def service_address(environment: Mapping[str, str] = os.environ) -> Address | None:
    """Return the service that the environment names, or None if it names none.

    Raises UserError if there is an address without a token.
    """
    url = environment.get(URL_VARIABLE, "")
    if not url:
        return None
    if not (token := environment.get(TOKEN_VARIABLE, "")):
        raise UserError(
            f"{URL_VARIABLE} is set to {url}, but {TOKEN_VARIABLE} is not: set both as the driver "
            "of the run gave them, or none"
        )
    return Address(url.rstrip("/"), token)
