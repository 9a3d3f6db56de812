"""The routes by which a visitor signs in with Hugging Face and out again.

Their page is sent to the Hub and comes back with a code; this server asks who that is. Cookies are
`Lax`: a page of another site can make no request in a visitor's name. So in a frame on the Hub's
own page nobody is signed in, and the button opens a tab of its own.
"""

import asyncio
import hmac
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from demo.accounts.openid import CALLBACK, Attempt, SignInFailed
from demo.accounts.sessions import Accounts, read_cookie
from demo.links import TAB, name_slug
from demo.server.gate import REASON
from demo.server.routes import LOGIN, LOGOUT
from demo.templates import render
from demo.words import account as words
from demo.words.common import FINETUNE_TAB, TITLE

ATTEMPT_S = 600
"""From setting out for the Hub to coming back."""
AT_ONCE = 4
"""Visitors on whose behalf the Hub is asked at the same time; the others wait."""
HEADERS = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
"""Of every answer: an address may hold a code."""


class SignIn:
    """Answers at these routes."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._threads = ThreadPoolExecutor(AT_ONCE, "sign in")

    def add_to(self, app: FastAPI) -> None:
        """Adds the routes."""
        app.get(LOGIN, include_in_schema=False)(self.begin)
        app.get(CALLBACK, include_in_schema=False)(self.finish)
        app.post(LOGOUT, include_in_schema=False)(self.leave)

    async def begin(self, request: Request) -> Response:
        """Sends the visitor to the Hub."""
        attempt = Attempt.begin(request.url.query)
        loop = asyncio.get_running_loop()
        try:
            address = await loop.run_in_executor(
                self._threads, self._accounts.provider.write_address, attempt
            )
        except SignInFailed:
            return _refuse(request, words.NOT_SIGNED_IN, 502)
        answer = RedirectResponse(address, 303, HEADERS)
        self._keep(answer, self._accounts.attempt_cookie, attempt.write(), ATTEMPT_S)
        return answer

    async def finish(self, request: Request) -> Response:
        """Signs in who comes back from the Hub, and shows the page that they came from."""
        accounts, query = self._accounts, request.query_params
        attempt = Attempt.read(read_cookie(request.headers, accounts.attempt_cookie))
        state, code = query.get("state", ""), query.get("code", "")
        if attempt is None or not hmac.compare_digest(attempt.state.encode(), state.encode()):
            return _refuse(request, words.NOT_BEGUN_HERE, 400)
        loop = asyncio.get_running_loop()
        try:
            if not code:  # they did not allow it
                raise SignInFailed
            session, seconds = await loop.run_in_executor(
                self._threads, accounts.finish, code, attempt
            )
        except SignInFailed:
            return _refuse(request, words.NOT_SIGNED_IN, 502)
        accounts.end(request.headers)
        answer = self._return(attempt.target)
        self._keep(answer, accounts.session_cookie, session, int(seconds))
        return answer

    async def leave(self, request: Request) -> Response:
        """Signs out."""
        answer = self._return(urlencode({TAB: name_slug(FINETUNE_TAB)}))
        if self._accounts.find(request.headers) is not None:
            self._accounts.end(request.headers)
            self._keep(answer, self._accounts.session_cookie, "", 0)
        return answer

    def _return(self, query: str) -> Response:
        """To the page; the query alone is the visitor's to choose."""
        answer = RedirectResponse(f"/?{query}" if query else "/", 303, HEADERS)
        self._keep(answer, self._accounts.attempt_cookie, "", 0)
        return answer

    def _keep(self, answer: Response, name: str, value: str, seconds: int) -> None:
        answer.set_cookie(
            name, value, max_age=seconds, path="/", secure=self._accounts.secure, httponly=True,
            samesite="lax",
        )  # fmt: skip


def _refuse(request: Request, sentence: str, status: int) -> Response:
    request.scope[REASON] = "signin"
    page = render("signin.html", title=TITLE, said=sentence, back=words.BACK)
    return HTMLResponse(page, status, HEADERS)
