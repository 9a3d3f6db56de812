"""Signing in from the browser: the same jobs on two devices, a model published, and signed out."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from demo.words import account as words
from tests.app import RunningApp, running_app
from tests.browser.axe import find_serious
from tests.browser.conftest import DESKTOP, open_app
from tests.browser.finetune import expect_job, open_tab, start
from tests.hub import FakeHub, running_hub
from tests.openid import SECRET, FakeProvider, running_provider
from tests.space import find_port

REPO = "ada/first-model"


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with running_provider() as running:
        yield running


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    with running_hub(REPO, {}) as running:
        yield running


@pytest.fixture(scope="module")
def app(
    provider: FakeProvider, hub: FakeHub, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApp]:
    """An app whose owner has turned signing in on."""
    port = str(find_port())
    variables = {
        **provider.variables(f"http://127.0.0.1:{port}"),
        "GRADIO_SERVER_PORT": port,
        "HF_ENDPOINT": hub.url,
        "HF_HUB_DISABLE_XET": "1",
        "QUARTET_HOME": str(tmp_path_factory.mktemp("home")),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("QUARTET_DATA", raising=False)
        with running_app(variables=variables) as running:
            yield running


def sign_in(page: Page, provider: FakeProvider, person: str) -> None:
    provider.person = person
    page.get_by_role("link", name=words.SIGN_IN).click()
    expect(page.locator("#account")).to_contain_text(f"Signed in as {person}")
    expect(page.locator("#estimate")).to_contain_text("Trains on")


def test_jobs_follow_the_account_and_its_model_is_published(
    browser: Browser, app: RunningApp, provider: FakeProvider, hub: FakeHub
) -> None:
    desk, phone = browser.new_context(viewport=DESKTOP), browser.new_context(viewport=DESKTOP)
    page = open_tab(desk, app)
    sign_in(page, provider, "ada")
    page.get_by_label("the last layer", exact=True).check()
    start(page, Training_images="64", Epochs="1")
    expect_job(page, "Done")
    said = page.locator("#job a").get_attribute("href") or ""

    other = open_app(phone, app.url)
    other.get_by_role("tab", name="Fine-tune").click()
    expect(other.locator("#job")).to_contain_text("Choose settings")
    sign_in(other, provider, "eve")
    expect(other.locator("#job")).to_contain_text("Choose settings")
    other.get_by_role("button", name=words.SIGN_OUT).click()
    sign_in(other, provider, "ada")
    expect_job(other, "Done")
    assert other.locator("#job a").get_attribute("href") == said

    expect(page.get_by_label(words.REPO)).to_have_value(re.compile(r"^quartet-\w{6}$"))
    page.get_by_label(words.REPO).fill(REPO.partition("/")[2])
    page.get_by_role("button", name=words.PUBLISH).click()
    expect(page.locator("#published a")).to_have_attribute("href", f"{hub.url}/{REPO}")
    assert {provider.tokens[token] for token in hub.tokens} == {"ada"}
    assert "finetuned.safetensors" in hub.files
    assert find_serious(page) == []

    kept = [*desk.cookies(), *desk.storage_state()["origins"]]
    assert not any(token in str(kept) for token in provider.tokens)
    page.get_by_role("button", name=words.SIGN_OUT).click()
    expect(page.get_by_role("link", name=words.SIGN_IN)).to_be_visible()
    expect(page.locator("#job")).to_contain_text("Choose settings")
    desk.close()
    phone.close()


def test_outside_a_space_it_is_the_hub_that_signs_in(app: RunningApp) -> None:
    """Gradio's own way would let anybody in there, as whoever runs the app."""
    answer = app.client.get("/login/huggingface", follow_redirects=False)
    assert answer.headers["location"].startswith("http://127.0.0.1")
    assert "/oauth/authorize?" in answer.headers["location"]
    assert app.client.get("/login/callback").status_code == 400
    environ = Path(f"/proc/{app.pid}/environ")
    if environ.exists():
        assert SECRET.encode() not in environ.read_bytes()
