"""Run-file keys become the checked settings of one endpoint, and the secret that opens it."""

import inspect
import ipaddress
import os
from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lskd.errors import UserError

Money = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
T = TypeVar("T")
LIMITS: Final = frozenset({"max_tokens", "max_completion_tokens"})  # of a reply, by the protocol
OURS: Final = LIMITS | {"model", "messages", "temperature", "top_p", "stream", "n"}


class Endpoint(BaseModel):
    """Where a model is served, how it is asked, and what that may cost.

    Prices are in one currency of the user's choice for a million tokens; `max_price` is in that
    currency. `max_price` and `max_tokens` (input and output together) hold for the whole life of
    the journal, restarts included; `requests_per_minute` and `tokens_per_minute` in every minute.
    These and `concurrency` hold for all workers of a run together. Times are in seconds. A reply is
    waited for as long as `timeout`; a request that fails is sent again up to `retries` times, the
    first time after `backoff`, then after twice as long each time. `patience` is how long an
    endpoint that has worked may be unreachable or overloaded before the run stops; an endpoint that
    was never reached is given up within seconds. `structured`: a JSON schema goes with a request
    "auto" (unless the server refuses it), "always" or "never". `top_p` goes with it where it is
    given, and `extra_body` joins its JSON. A picture counts as `picture_tokens` in the budget
    until a reply tells that it took more. With `buy_again` calls are paid for once more that stand
    in a batch which will not be answered, or which the server knows no more. `key_env` names the
    environment variable that holds the key; "" says that the server wants none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    model: str = Field(min_length=1)
    base_url: str = "https://api.openai.com/v1"
    key_env: str = Field(default="OPENAI_API_KEY", pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$")
    concurrency: int = Field(default=64, gt=0)
    timeout: Seconds = 120.0
    retries: int = Field(default=6, ge=0)
    backoff: Seconds = 0.5
    patience: Seconds = 120.0
    structured: Literal["auto", "always", "never"] = "auto"
    input_price: Money | None = None
    output_price: Money | None = None
    max_price: Money | None = None
    max_tokens: int | None = Field(default=None, ge=0)
    requests_per_minute: int | None = Field(default=None, gt=0)
    tokens_per_minute: int | None = Field(default=None, gt=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    extra_body: dict[str, object] = Field(default_factory=dict)
    picture_tokens: int = Field(default=2_000, gt=0)
    buy_again: bool = False

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, given: str) -> str:
        parts = urlsplit(given)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("write it as http://host:port/v1 or https://host/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            # Addresses are printed; a secret in one would be too.
            raise ValueError("give no user, password or ?query; a key goes into key_env's variable")
        return given.rstrip("/").removesuffix("/chat/completions")

    @field_validator("extra_body")
    @classmethod
    def _no_key_of_ours(cls, given: dict[str, object]) -> dict[str, object]:
        if taken := sorted(OURS & given.keys()):
            # Another limit than the budget counts on could overspend it.
            why = ": the stage's reply_tokens says how long a reply may be"
            message = f"{', '.join(taken)} cannot be set here"
            raise ValueError(message if LIMITS.isdisjoint(taken) else message + why)
        return given

    @model_validator(mode="after")
    def _prices_go_together(self) -> "Endpoint":
        if (self.input_price is None) != (self.output_price is None):
            raise ValueError("input_price and output_price go together")
        if self.max_price is not None and self.input_price is None:
            raise ValueError("max_price needs input_price and output_price")
        return self

    @property
    def is_loopback(self) -> bool:
        """Return whether the server is on this machine."""
        host = urlsplit(self.base_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")

    def __str__(self) -> str:
        """Return the endpoint in words fit for an error message: address, model, key's variable."""
        key = f"the key in {self.key_env}" if self.key_env else "no key"
        return f"{self.base_url} (model {self.model!r}, {key})"


# Keys that change no reply: a run may go on after one of them is changed.
WITHOUT_EFFECT: Final = frozenset(
    {"base_url", "key_env", "concurrency", "timeout", "retries", "backoff", "patience"}
    | {"input_price", "output_price", "max_price", "max_tokens", "picture_tokens"}
    | {"requests_per_minute", "tokens_per_minute", "buy_again"}
)


def read_endpoint(settings: Mapping[str, object], user: str) -> Endpoint:
    """Return checked settings; `user` is the class that they are for.

    Raises UserError with all mistakes in one line.
    """
    try:
        return Endpoint.model_validate(settings)
    except ValidationError as error:
        mistakes = "; ".join(_mistake(detail["loc"], detail) for detail in error.errors())
        raise UserError(f"{user}: {mistakes}") from None


def check_settings(keys: Mapping[str, object]) -> None:
    """Raise UserError if run-file keys of an endpoint are wrong; other keys are not looked at."""
    read_endpoint({key: keys[key] for key in keys if key in Endpoint.model_fields}, "the endpoint")


def check_environment(keys: Mapping[str, object]) -> None:
    """Raise UserError if the key of an endpoint is not in the environment."""
    found = {key: keys[key] for key in keys if key in Endpoint.model_fields}
    read_key(read_endpoint(found, "the endpoint"))


def _mistake(place: tuple[int | str, ...], detail: Mapping[str, object]) -> str:
    name = ".".join(map(str, place))
    if detail["type"] == "extra_forbidden":
        return f"no key {name!r}; keys: {', '.join(Endpoint.model_fields)}"
    message = str(detail["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if not name:
        return message
    if detail["type"] == "missing":
        return f"{name} is missing"
    if name == "key_env":
        return "key_env must name an environment variable, not hold the key itself"
    if name == "base_url":  # What was given may hold a password.
        return f"base_url: {message}"
    return f"{name} = {detail['input']!r}: {message}"


def with_endpoint_keys(kind: type[T]) -> type[T]:
    """Spell out, in the signature of a class that takes `**settings`, what an `Endpoint` takes.

    The house checks the keys of a run file against signatures before it builds anything.
    """
    given = inspect.signature(kind).parameters.values()
    own = [parameter for parameter in given if parameter.kind is not parameter.VAR_KEYWORD]
    keys = inspect.signature(Endpoint).parameters.values()
    kind.check_settings = staticmethod(check_settings)  # type: ignore[attr-defined] # the house's
    kind.check_environment = staticmethod(check_environment)  # type: ignore[attr-defined] # too
    kind.__signature__ = inspect.Signature([*own, *keys])  # type: ignore[attr-defined] # inspect's
    return kind


SECRET = 8  # characters; no provider's key is shorter


class Key:
    """A secret that shows itself only in the header of a request."""

    __slots__ = ("_text", "env")

    def __init__(self, text: str, env: str) -> None:
        self._text = text
        self.env = env

    def __repr__(self) -> str:
        return f"<key from {self.env}>" if self._text else "<no key>"

    def headers(self) -> dict[str, str]:
        """Return the header that opens the endpoint; none without a key."""
        return {"Authorization": f"Bearer {self._text}"} if self._text else {}

    def hide(self, text: str) -> str:
        """Return what a server said without the secret, should it have echoed it.

        A word as "none" or "x", for servers that want any key, is no secret: replies hold it.
        """
        return text.replace(self._text, "[key]") if len(self._text) >= SECRET else text


def read_key(endpoint: Endpoint) -> Key:
    """Return the key from the environment; an empty one for a server on this machine that has none.

    Raises UserError naming the variable, never its value.
    """
    text = os.environ.get(endpoint.key_env, "").strip() if endpoint.key_env else ""
    if not text and endpoint.key_env and not endpoint.is_loopback:
        raise UserError(
            f"no key for {endpoint.base_url}: set the environment variable {endpoint.key_env}, or "
            'name another with key_env (key_env = "" if the server wants none)'
        )
    if not (text.isascii() and text.isprintable()):
        raise UserError(
            f"the key in {endpoint.key_env} has characters that no key has: set it anew"
        )
    return Key(text, endpoint.key_env)
