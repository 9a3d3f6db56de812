"""The Fine-tune tab for who is signed in: whose a job is, and what may be published of it."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import huggingface_hub.constants
import pytest

from demo.accounts.openid import Attempt, ClientSettings, Provider
from demo.accounts.sessions import Accounts
from demo.jobs.backend import NAME
from demo.jobs.jobs import Jobs
from demo.jobs.limits import Limits
from demo.jobs.refusal import Refused
from demo.jobs.store import DONE, Job, create_token
from tests.conftest import CHECKPOINTS
from tests.finetune_page import Page, drawn_page
from tests.hub import FakeHub, running_hub
from tests.integration.test_jobs import QUICK
from tests.openid import FakeProvider, running_provider
from trainer.files import hash_bytes, hash_file

PATIENCE_S = 120
REPO = "ada/my-model"


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with running_provider() as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def page(provider: FakeProvider, home: Path) -> Iterator[Page]:
    settings = ClientSettings.from_environment(provider.variables("http://app"))
    assert settings
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("QUARTET_DATA", raising=False)
        with drawn_page(home, 1, Accounts(Provider(settings), "key")) as drawn:
            yield drawn


def sign_in(page: Page, provider: FakeProvider, person: str, scopes: str = "") -> Any:
    """A request of a browser where somebody has signed in."""
    accounts = page.shared.accounts
    assert accounts
    provider.person, provider.scopes = person, scopes or FakeProvider().scopes
    attempt = Attempt.begin("")
    asked = parse_qsl(urlsplit(accounts.provider.write_address(attempt)).query)
    code = provider.authorize(dict(asked)).partition("code=")[2]
    session, _ = accounts.finish(code, attempt)
    return SimpleNamespace(
        headers={"cookie": f"{accounts.session_cookie}={session}"}, client=None, query_params={}
    )


def start(page: Page, request: Any) -> Job:
    page.request = request
    answer = page.start(start="sgd_frozen", trained="last_layer", images=64, epochs=1, steps=0)
    assert page.values[page.tab.shown], answer
    visitor = page.shared.read_visitor(page.values, request)
    job = page.jobs.find(page.values[page.tab.shown], *visitor.secrets)
    assert job
    return job


@pytest.fixture(scope="module")
def done(page: Page, provider: FakeProvider) -> Job:
    """A job of Ada's that has ended."""
    page.open()
    request = sign_in(page, provider, "ada")
    job = start(page, request)
    owner = page.shared.read_visitor(page.values, request).owner

    def find() -> Job:
        found = page.jobs.find(job.id, owner)
        assert found
        return found

    assert page.jobs.wait(lambda: find().ended, PATIENCE_S)
    assert find().state == DONE, find().reason
    return find()


def look(page: Page, request: Any, shown: str = "", token: str = "") -> str:
    """Opens a page of another browser; the id of the job that it shows."""
    page.open()
    page.values |= {page.owner: token or create_token(), page.tab.shown: shown}
    page.show(page.tab.on_look(page.values, request))
    return str(page.values[page.tab.shown])


def test_job_is_the_accounts_on_any_device_and_nobody_elses(
    page: Page, provider: FakeProvider, done: Job
) -> None:
    assert look(page, sign_in(page, provider, "ada")) == done.id
    eve, nobody = sign_in(page, provider, "eve"), None
    for request in (eve, nobody):
        # Whatever a request says it is: what is known of Ada opens nothing.
        for token in ("ada", "id-of-ada", done.owner, done.id):
            assert look(page, request, done.id, token) == ""
            for act in (page.tab.on_stop, page.tab.on_ask, page.tab.on_delete):
                page.values |= {page.tab.shown: done.id, page.tab.view.asked: done.id}
                act(page.values, request)
    assert look(page, sign_in(page, provider, "ada"), done.id) == done.id


def test_what_the_browser_is_told_holds_no_secret_of_the_account(
    page: Page, provider: FakeProvider, done: Job, home: Path
) -> None:
    request = sign_in(page, provider, "ada")
    account = page.shared.read_visitor(page.values, request).account
    assert account
    page.open()
    answer = page.tab.on_look(page.values, request)
    told = str([getattr(one, "value", one) for one in answer.values()])
    assert "Signed in as ada." in told
    for secret in (account.owner, account.token):
        assert secret not in told
        for file in home.rglob("*"):
            assert not file.is_file() or secret.encode() not in file.read_bytes()


def test_a_browsers_own_jobs_stay_its_own(page: Page, provider: FakeProvider, done: Job) -> None:
    page.open()
    job, token = start(page, None), page.token
    page.jobs.stop(job.id, token)
    ada = sign_in(page, provider, "ada")
    visitor = page.shared.read_visitor({page.owner: token}, ada)
    assert {one.id for one in page.jobs.of_owner(*visitor.secrets)} == {job.id, done.id}
    assert look(page, None, token=token) == job.id  # signed out, it is still there
    assert look(page, ada) == done.id  # and on no other device
    page.jobs.delete(job.id, token)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with running_hub(REPO, {}) as running:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", running.url)
        yield running


def publish(page: Page, request: Any, job: Job, name: str = "my-model", key: str = "") -> str:
    """What is said when a page that shows a job has it published."""
    account = page.tab.account
    page.open()
    page.values |= {page.tab.shown: f"{job.id}{key}", account.name: name}
    return str(page.tab.on_publish(page.values, request)[account.published])


def test_model_is_published_in_the_visitors_name(
    page: Page, provider: FakeProvider, done: Job, hub: FakeHub
) -> None:
    request = sign_in(page, provider, "ada")
    account = page.shared.read_visitor(page.values, request).account
    assert account
    assert f'href="{hub.url}/{REPO}"' in publish(page, request, done)
    assert hub.tokens == {account.token}
    assert [(made["name"], made.get("organization")) for made in hub.created] == [
        ("my-model", "ada")
    ]
    weights = page.jobs.folder(done) / f"{NAME}.safetensors"
    assert hash_bytes(hub.files[weights.name]) == hash_file(weights)
    config = json.loads(hub.files["config.json"])
    assert config["models"][NAME]["sha256"] == hash_file(weights)
    card = hub.files["README.md"].decode()
    assert "# my-model" in card
    assert "fine-tuned by Quartet" in card


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"taken": True}, f"The repository {REPO} is there already: choose another name."),
        ({"denied": True}, "does not let this app make"),
    ],
)
def test_refusal_is_one_sentence(
    page: Page, provider: FakeProvider, done: Job, hub: FakeHub, change: dict[str, bool], said: str
) -> None:
    hub.__dict__ |= change
    told = publish(page, sign_in(page, provider, "ada"), done)
    assert said in told
    assert 'role="alert"' in told
    assert not hub.files


def test_hub_out_of_reach_is_said(
    page: Page, provider: FakeProvider, done: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "try again in a minute" in publish(page, sign_in(page, provider, "ada"), done)


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a--b", "x.git", "ä", "a" * 93, "-a", "a b"])
def test_name_that_is_none_is_said(
    page: Page, provider: FakeProvider, done: Job, hub: FakeHub, name: str
) -> None:
    assert "Repository name: give 92" in publish(page, sign_in(page, provider, "ada"), done, name)
    assert not hub.created


def test_nobody_publishes_what_is_not_theirs_or_not_allowed(
    page: Page, provider: FakeProvider, done: Job, hub: FakeHub
) -> None:
    key = f".{done.key}"  # with a link the job is seen, and no more
    eve = sign_in(page, provider, "eve")
    assert look(page, eve, f"{done.id}{key}") == f"{done.id}{key}"
    for request in (eve, None, sign_in(page, provider, "ada", "openid profile")):
        assert "Sign in, and choose a job of yours" in publish(page, request, done, key=key)
    assert not hub.created
    assert not hub.files


def test_limits_hold_for_accounts(home: Path, tmp_path: Path) -> None:
    limits = Limits(running=0, queued_of_owner=1)
    with contextlib.closing(Jobs(tmp_path, CHECKPOINTS, limits)) as jobs:
        jobs.start(QUICK, create_token(), sender="here", account="ada")
        with pytest.raises(Refused, match="from your address"):
            jobs.start(QUICK, create_token(), sender="here", account="eve")
        with pytest.raises(Refused, match="You have 1 jobs"):
            jobs.start(QUICK, create_token(), sender="there", account="ada")


def test_without_signing_in_nothing_of_it_is_drawn(tmp_path: Path) -> None:
    with drawn_page(tmp_path) as plain:
        drawn = {block.elem_id for block in plain.shared.blocks.blocks.values() if block.visible}
        assert "start-job" in drawn
        assert not drawn & {"account", "publishing", "repo", "publish", "published", "pay"}
        handlers = {fn.name for fn in plain.shared.blocks.fns.values()}
        assert "on_start" in handlers
        assert "on_publish" not in handlers
