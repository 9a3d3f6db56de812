"""Who is signed in, in memory alone: a restart signs everybody out, and no token is on any disk."""

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from demo.accounts.openid import Attempt, Grant, Provider
from demo.jobs.store import hash_token
from trainer.publication.space import PUBLISHING_SCOPE

PUBLISHING = frozenset({PUBLISHING_SCOPE, "write-repos", "manage-repos"})
"""Scopes with one of which a repository can be made and written; the first is the narrowest."""
PAYING = "jobs"
"""The scope with which jobs run at the visitor's cost."""
KEPT = 4096
"""Visitors who are signed in at the same time; of more, who came first is signed out."""


@dataclass(frozen=True)
class Account:
    """Somebody who is signed in."""

    name: str
    """Their namespace at the Hub."""
    owner: str = field(repr=False)
    """The secret that their jobs belong to, as an anonymous visitor's do to their browser's. It is
    known to this server alone, so no request can bring it along."""
    token: str = field(repr=False)
    scopes: frozenset[str]

    @property
    def publishes(self) -> bool:
        """Whether this app may make a repository for them."""
        return bool(PUBLISHING & self.scopes)

    @property
    def pays(self) -> bool:
        """Whether this app may start jobs at their cost: inputs and results go to a repository."""
        return PAYING in self.scopes and self.publishes


class Accounts:
    """All sessions. Safe between threads."""

    def __init__(
        self, provider: Provider, key: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """
        Args:
            key: the server's own, from which the owners of jobs are derived; the same after a
                restart, and known to nobody else.
        """
        self.provider = provider
        self.address = provider.settings.address
        self.may_publish = bool(PUBLISHING & set(provider.settings.scopes.split()))
        """Whether visitors are asked to allow it."""
        self.secure = self.address.startswith("https://")
        # Where it can be, a name that no neighbouring host may set (RFC 6265bis, 4.1.3.2).
        prefix = "__Host-" if self.secure else ""
        self.session_cookie, self.attempt_cookie = f"{prefix}quartet", f"{prefix}quartet-signin"
        self._key, self._clock = key.encode(), clock
        self._lock = threading.Lock()
        self._sessions: OrderedDict[str, tuple[Account, float]] = OrderedDict()

    def finish(self, code: str, attempt: Attempt) -> tuple[str, float]:
        """Signs a visitor in who comes back from the Hub.

        Returns:
            The session's secret, for their browser, and the seconds it is good for.

        Raises:
            SignInFailed: see `Provider.exchange`.
        """
        grant = self.provider.exchange(code, attempt)
        session, account = secrets.token_urlsafe(32), self._describe(grant)
        now = self._clock()
        with self._lock:
            for key, (_, until) in list(self._sessions.items()):
                if until <= now:
                    del self._sessions[key]
            self._sessions[hash_token(session)] = account, now + grant.seconds
            while len(self._sessions) > KEPT:
                self._sessions.popitem(last=False)
        return session, grant.seconds

    def find(self, headers: Mapping[str, str]) -> Account | None:
        """Who sends a request, or None. A request that a page of another origin makes is nobody's:
        browsers may add the cookie to those of a neighbouring host.

        Args:
            headers: of the request, found by names in lower case.
        """
        if headers.get("origin", self.address) != self.address:
            return None
        with self._lock:
            held = self._sessions.get(hash_token(self.read_session(headers)))
        return held[0] if held and held[1] > self._clock() else None

    def end(self, headers: Mapping[str, str]) -> None:
        """Signs out who sends a request; their token is forgotten."""
        with self._lock:
            self._sessions.pop(hash_token(self.read_session(headers)), None)

    def read_session(self, headers: Mapping[str, str]) -> str:
        """The session's secret that a request brings, or nothing."""
        return read_cookie(headers, self.session_cookie)

    def _describe(self, grant: Grant) -> Account:
        who = f"{self.provider.settings.provider} {grant.subject}".encode()
        owner = hmac.new(self._key, who, hashlib.sha256).hexdigest()
        return Account(grant.name, owner, grant.token, grant.scopes)


def read_cookie(headers: Mapping[str, str], name: str) -> str:
    """A cookie's value, or nothing."""
    for part in headers.get("cookie", "").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return ""
