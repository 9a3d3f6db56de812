"""Signing in with OpenID Connect, as the Hub offers it: the authorization code flow with PKCE
(RFC 6749, 4.1; RFC 7636).

Who it is the Hub's `userinfo` says, asked with the token that was just given, over TLS: so no
signature of an ID token needs to be checked. Tested against a local stand-in of the endpoints; has
not met the real service.
"""

import base64
import hashlib
import json
import secrets
import threading
import urllib.request
from collections.abc import Mapping, MutableMapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlencode

from demo.jobs.environment import take_token
from demo.jobs.refusal import Refused

CALLBACK = "/login/callback"
"""The address that a Space's registration allows the Hub to send visitors back to."""
TIMEOUT_S = 10.0
MOST_BYTES = 64 * 1024
"""Of an answer of the Hub's."""
TARGET_CHARS = 500
"""Of what the page was showing; a longer one is forgotten."""


class SignInFailed(Exception):
    """The Hub refused, or could not be reached; nobody is signed in."""


@dataclass(frozen=True)
class ClientSettings:
    """What a Space with `hf_oauth: true` finds in its environment."""

    client: str
    """Its id at the Hub."""
    secret: str = field(repr=False)
    scopes: str
    """What visitors are asked to allow, separated by spaces."""
    provider: str
    """The Hub's address."""
    address: str
    """Where visitors reach this app, without a slash at the end."""

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> "ClientSettings | None":
        """The settings, or None where the owner has not turned signing in on. The secret is taken
        out of the environment either way.

        Raises:
            Refused: one of them is missing.
        """
        secret = take_token(environment, "OAUTH_CLIENT_SECRET")
        client, address = environment.get("OAUTH_CLIENT_ID"), _find_own_address(environment)
        if not client or not address:
            return None
        scopes, provider = environment.get("OAUTH_SCOPES"), environment.get("OPENID_PROVIDER_URL")
        if not (secret and scopes and provider):
            raise Refused("signin_incomplete")
        return cls(client, secret, scopes, provider.rstrip("/"), address)


def _find_own_address(environment: Mapping[str, str]) -> str:
    """Of a Space, or where the owner says; nothing elsewhere."""
    # A Space with a domain of its own lists it behind the platform's.
    host = environment.get("SPACE_HOST", "").partition(",")[0].strip()
    return environment.get("QUARTET_ADDRESS", f"https://{host}" if host else "").rstrip("/")


@dataclass(frozen=True)
class Attempt:
    """A visitor's way to the Hub and back. Their browser keeps it, so that nobody can send them
    back to a sign-in that another began."""

    state: str
    verifier: str = field(repr=False)
    target: str
    """The query of the page to come back to."""

    @classmethod
    def begin(cls, target: str) -> "Attempt":
        kept = target if len(target) <= TARGET_CHARS else ""
        return cls(secrets.token_urlsafe(32), secrets.token_urlsafe(48), kept)

    @classmethod
    def read(cls, text: str) -> "Attempt | None":
        """What `write` wrote, or None: a visitor can send anything."""
        try:
            held = json.loads(base64.urlsafe_b64decode(text))
            attempt = cls(**held)
        except (ValueError, TypeError):
            return None
        words = held.values()
        return attempt if all(isinstance(one, str) and one.isascii() for one in words) else None

    def write(self) -> str:
        """For a cookie."""
        return base64.urlsafe_b64encode(json.dumps(asdict(self)).encode()).decode()


@dataclass(frozen=True)
class Grant:
    """What the Hub says of who came back, and what they allow."""

    subject: str
    """Theirs for ever, whatever they are called."""
    name: str
    """Their namespace at the Hub."""
    token: str = field(repr=False)
    scopes: frozenset[str]
    seconds: float
    """For which the token is good."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to wherever it leads."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Provider:
    """The Hub. Every question may take as long as an answer from the network."""

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._lock = threading.Lock()
        self._endpoints: dict[str, Any] = {}

    def write_address(self, attempt: Attempt) -> str:
        """Where the visitor is sent.

        Raises:
            SignInFailed: the Hub cannot be reached.
        """
        digest = hashlib.sha256(attempt.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.settings.client,
            "redirect_uri": self._redirect,
            "scope": self.settings.scopes,
            "state": attempt.state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{self._find_endpoint('authorization_endpoint')}?{urlencode(query)}"

    def exchange(self, code: str, attempt: Attempt) -> Grant:
        """Who the visitor is that brings `code` back.

        Raises:
            SignInFailed: the code is none, or the Hub cannot be reached.
        """
        settings = self.settings
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect,
            "code_verifier": attempt.verifier,
        }
        pair = base64.b64encode(f"{settings.client}:{settings.secret}".encode()).decode()
        given = self._ask(
            self._find_endpoint("token_endpoint"), f"Basic {pair}", urlencode(form).encode()
        )
        try:
            token = str(given["access_token"])
            who = self._ask(self._find_endpoint("userinfo_endpoint"), f"Bearer {token}")
            return Grant(
                str(who["sub"]),
                str(who["preferred_username"]),
                token,
                frozenset(str(given.get("scope", settings.scopes)).split()),
                float(given["expires_in"]),
            )
        except (KeyError, TypeError, ValueError):
            raise SignInFailed from None

    @property
    def _redirect(self) -> str:
        return f"{self.settings.address}{CALLBACK}"

    def _find_endpoint(self, name: str) -> str:
        """By the Hub's own description, which is read once."""
        with self._lock:
            if not self._endpoints:
                address = f"{self.settings.provider}/.well-known/openid-configuration"
                self._endpoints = self._ask(address)
        try:
            return str(self._endpoints[name])
        except KeyError:
            raise SignInFailed from None

    def _ask(
        self, address: str, credentials: str = "", form: bytes | None = None
    ) -> dict[str, Any]:
        headers = {"Accept": "application/json", "User-Agent": "quartet"}
        if credentials:
            headers["Authorization"] = credentials
        request = urllib.request.Request(address, form, headers)
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                told = json.loads(answer.read(MOST_BYTES))
        except (OSError, ValueError):
            # Without the cause: what it says may hold what was sent.
            raise SignInFailed from None
        if not isinstance(told, dict):
            raise SignInFailed
        return told
