"""Signing in over HTTP, against a local stand-in of the Hub: who is let in, and who is not."""

import base64
import json
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI

from demo.accounts import sessions
from demo.accounts.openid import Attempt, ClientSettings, Provider
from demo.accounts.sessions import Account, Accounts
from demo.jobs.refusal import Refused
from demo.server.gate import Front
from demo.server.limits import SIGN_IN_COST, Settings
from demo.server.signin import SignIn
from demo.words import account as words
from tests.openid import SECRET, FakeProvider, running_provider
from tests.server import Local, gated

ADDRESS = "https://someone-quartet.hf.space"


@pytest.fixture(scope="module")
def running() -> Iterator[FakeProvider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture
def provider(running: FakeProvider) -> FakeProvider:
    running.__dict__ |= vars(FakeProvider())
    return running


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def open_accounts(provider: FakeProvider, address: str = ADDRESS, key: str = "key") -> Accounts:
    environment = provider.variables(address)
    settings = ClientSettings.from_environment(environment)
    assert settings is not None
    return Accounts(Provider(settings), key, Clock())


class Browser:
    """Follows what the app tells it, and keeps its cookies."""

    def __init__(self, app: Local, accounts: Accounts, provider: FakeProvider) -> None:
        self.app, self.accounts, self.provider = app, accounts, provider
        self.jar: dict[str, str] = {}

    @property
    def headers(self) -> dict[str, str]:
        return {"cookie": "; ".join(f"{name}={value}" for name, value in self.jar.items())}

    @property
    def account(self) -> Account | None:
        return self.accounts.find(self.headers)

    def ask(self, method: str, path: str, **headers: str) -> Any:
        answer = self.app.ask(method, path, headers={**self.headers, **headers})
        for line in answer.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                assert morsel["httponly"]
                assert morsel["secure"]
                assert morsel["samesite"] == "lax"
                self.jar[name] = morsel.value
                if morsel["max-age"] == "0":
                    del self.jar[name]
        return answer

    def set_out(self, query: str = "") -> str:
        """Goes to the Hub; the path with which it sends the browser back."""
        to_hub = self.ask("GET", f"/login/huggingface?{query}").headers["location"]
        assert to_hub.startswith(f"{self.provider.url}/oauth/authorize?")
        back = httpx.get(to_hub).headers["location"]
        assert back.startswith(f"{ADDRESS}/login/callback?")
        return str(back.removeprefix(ADDRESS))

    def sign_in(self, query: str = "") -> Any:
        return self.ask("GET", self.set_out(query))


@pytest.fixture
def browser(provider: FakeProvider, tmp_path: Path) -> Iterator[Browser]:
    accounts, app = open_accounts(provider), FastAPI()
    SignIn(accounts).add_to(app)
    front = Front(Settings(proxies=0), tmp_path)
    front.routes.open_signing_in()
    front.own = app
    with gated(front) as (client, _):
        yield Browser(client, accounts, provider)


def test_visitor_comes_back_signed_in_to_the_page_they_left(browser: Browser) -> None:
    answer = browser.sign_in("tab=fine-tune&job=1.2")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?tab=fine-tune&job=1.2")
    assert browser.account is not None
    assert browser.account.name == "ada"
    assert browser.account.token in browser.provider.tokens
    assert browser.account.publishes
    assert browser.account.pays
    # The browser keeps a session's secret, and nothing of the Hub's.
    assert list(browser.jar) == [browser.accounts.session_cookie]
    assert browser.account.token not in str(browser.jar)
    for secret in (browser.account.token, browser.account.owner):
        assert secret not in repr(browser.account)


def test_an_account_owns_the_same_jobs_on_every_device(
    browser: Browser, provider: FakeProvider
) -> None:
    browser.sign_in()
    first = browser.account
    browser.jar.clear()
    browser.sign_in()
    assert first
    assert browser.account
    assert browser.account.owner == first.owner
    provider.person = "eve"
    browser.sign_in()
    assert browser.account.owner != first.owner
    # It cannot be told from what everybody knows of an account.
    assert "ada" not in first.owner
    others = open_accounts(provider, key="another server's")
    code = parse_qs(urlsplit(browser.set_out()).query)["code"][0]
    attempt = Attempt.read(browser.jar[browser.accounts.attempt_cookie])
    assert attempt
    session, _ = others.finish(code, attempt)
    there = others.find({"cookie": f"{others.session_cookie}={session}"})
    assert there
    assert there.owner != browser.account.owner


def test_nobody_is_signed_in_by_an_address_that_another_began(
    browser: Browser, provider: FakeProvider
) -> None:
    provider.person = "eve"
    path = browser.set_out()  # Eve's, whose link Ada opens
    strange = json.dumps({"state": "\ud800", "verifier": "v", "target": ""}).encode()
    for cookie in (b"", b"nothing", b"[]", b'{"state": 1}', strange):
        written = base64.urlsafe_b64encode(cookie).decode()
        browser.jar = {browser.accounts.attempt_cookie: written} if cookie else {}
        answer = browser.ask("GET", path)
        assert (answer.status_code, words.NOT_BEGUN_HERE in answer.text) == (400, True)
        assert browser.account is None
    browser.set_out()  # Ada has begun one of her own
    assert browser.ask("GET", path).status_code == 400
    assert browser.account is None


@pytest.mark.parametrize("fault", ["denied", "code", "used", "gone"])
def test_refusal_of_the_hub_is_one_sentence(
    browser: Browser, provider: FakeProvider, fault: str
) -> None:
    if fault == "denied":
        provider.scopes = ""
    path = browser.set_out()
    if fault == "code":
        path = path.replace("code=", "code=no")
    if fault == "used":
        provider.codes.clear()
    if fault == "gone":
        browser.accounts.provider._endpoints["token_endpoint"] = "http://127.0.0.1:9/"
    answer = browser.ask("GET", path)
    assert answer.status_code == 502
    assert words.NOT_SIGNED_IN in answer.text
    assert browser.account is None


def test_target_is_always_a_page_of_this_app(browser: Browser) -> None:
    for query in ("//evil.example", "https://evil.example", "x" * 1000):
        location = browser.sign_in(query).headers["location"]
        assert location.startswith("/?") or location == "/"


def test_sign_out_and_expiry_forget_the_token(browser: Browser, provider: FakeProvider) -> None:
    browser.sign_in()
    held = browser.headers
    assert browser.ask("GET", "/logout").status_code == 405
    assert browser.ask("POST", "/logout", origin="https://evil.example").status_code == 303
    assert browser.account is not None  # another site cannot sign anybody out
    assert browser.ask("POST", "/logout", origin=ADDRESS).status_code == 303
    assert browser.accounts.find(held) is None
    assert not browser.accounts._sessions
    browser.sign_in()
    browser.accounts._clock.now = provider.seconds + 1  # type: ignore[attr-defined]
    assert browser.account is None


def test_requests_of_other_origins_are_nobodys(browser: Browser) -> None:
    browser.sign_in()
    for origin, known in ((ADDRESS, True), ("https://other.hf.space", False), ("null", False)):
        found = browser.accounts.find({**browser.headers, "origin": origin})
        assert (found is not None) is known


def test_signing_in_again_ends_the_session_before(browser: Browser) -> None:
    browser.sign_in()
    held = browser.headers
    browser.sign_in()
    assert browser.account is not None
    assert browser.accounts.find(held) is None


def test_only_so_many_are_remembered(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "KEPT", 2)
    kept = []
    for _ in range(3):
        browser.jar.clear()
        browser.sign_in()
        kept.append(browser.headers)
    assert [browser.accounts.find(one) is not None for one in kept] == [False, True, True]


def test_attempts_cost_a_sender_much(provider: FakeProvider, tmp_path: Path) -> None:
    front = Front(Settings(requests_a_minute=SIGN_IN_COST, proxies=0), tmp_path)
    front.routes.open_signing_in()
    with gated(front) as (client, _):
        assert client.ask("GET", "/login/callback").status_code == 200
        assert client.ask("GET", "/login/callback").status_code == 429


def test_it_is_off_unless_the_owner_turns_it_on(provider: FakeProvider, tmp_path: Path) -> None:
    full = provider.variables(ADDRESS)
    for missing in ("OAUTH_CLIENT_ID", "QUARTET_ADDRESS"):
        environment = {name: value for name, value in full.items() if name != missing}
        assert ClientSettings.from_environment(environment) is None
        assert SECRET not in environment.values()
    with pytest.raises(Refused, match="OAUTH_SCOPES"):
        ClientSettings.from_environment({**full, "OAUTH_SCOPES": ""})
    del full["QUARTET_ADDRESS"]
    space = {**full, "SPACE_HOST": "someone-quartet.hf.space,quartet.example.org"}
    settings = ClientSettings.from_environment(space)
    assert settings
    assert settings.address == ADDRESS
    assert SECRET not in repr(settings)
    with gated(Front(Settings(proxies=0), tmp_path)) as (client, echo):
        for method, path in (
            ("GET", "/login/huggingface"), ("GET", "/login/callback"), ("POST", "/logout"),
        ):  # fmt: skip
            assert client.ask(method, path).status_code == 404
        assert echo.asked == 0
