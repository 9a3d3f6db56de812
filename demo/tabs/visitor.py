"""Who a visitor is: what their browser keeps, and the account that is signed in, if one is."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from demo.accounts.sessions import Account, Accounts
from demo.jobs.store import create_token
from demo.server.addresses import name_sender_of


@dataclass(frozen=True)
class Visitor:
    """Of one request."""

    token: str = field(repr=False)
    """Their browser's, or nothing. What they teach is its."""
    account: Account | None = None
    sender: str = ""
    """Their address, as the limits count."""

    @property
    def owner(self) -> str:
        """The secret of the account that new jobs belong to; nothing where they are the
        browser's. It never leaves the server."""
        return self.account.owner if self.account else ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Of which each opens jobs of theirs: the account's, and this browser's own."""
        return tuple(filter(None, (self.owner, self.token)))

    def with_token(self) -> "Visitor":
        """With a new token, where the browser has none."""
        return self if self.token else dataclasses.replace(self, token=create_token())


def read_visitor(token: Any, request: Any, accounts: Accounts | None) -> Visitor:
    """Who sends a request.

    Args:
        token: what the page holds as its browser's; a visitor can send anything.
        request: Gradio's, or None for nobody's.
    """
    account = None
    if accounts is not None and request is not None:
        account = accounts.find(request.headers)
    return Visitor(token if isinstance(token, str) else "", account, name_sender_of(request))
