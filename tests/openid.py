"""A local stand-in for the Hub's OpenID endpoints: whoever is sent there allows at once."""

import base64
import contextlib
import hashlib
import secrets
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.standin import StandIn, serving

CLIENT, SECRET = "quartet-client", "oauth-secret"
SCOPES = "openid profile contribute-repos jobs"


class FakeProvider:
    """What the server knows."""

    url = ""

    def __init__(self) -> None:
        self.person = "ada"
        """Who sits in front of the browser."""
        self.scopes = SCOPES
        """What they allow; nothing where they do not."""
        self.seconds = 3600
        self.codes: dict[str, dict[str, str]] = {}
        """Code to what was asked, and who allowed it."""
        self.tokens: dict[str, str] = {}
        """Token to whose it is."""

    def variables(self, address: str) -> dict[str, str]:
        """Of an app that signs in here.

        Args:
            address: where visitors reach it.
        """
        return {
            "OAUTH_CLIENT_ID": CLIENT,
            "OAUTH_CLIENT_SECRET": SECRET,
            "OAUTH_SCOPES": SCOPES,
            "OPENID_PROVIDER_URL": self.url,
            "QUARTET_ADDRESS": address,
        }

    def authorize(self, asked: dict[str, str]) -> str:
        """Where the browser is sent back to."""
        assert (asked["client_id"], asked["response_type"]) == (CLIENT, "code")
        assert asked["code_challenge_method"] == "S256"
        told = {"state": asked["state"]}
        if self.scopes:
            told["code"] = secrets.token_hex(8)
            self.codes[told["code"]] = {**asked, "person": self.person}
        else:
            told["error"] = "access_denied"
        return f"{asked['redirect_uri']}?{urlencode(told)}"

    def exchange(self, form: dict[str, str]) -> dict[str, object] | None:
        """What a code is worth, once."""
        asked = self.codes.pop(form.get("code", ""), None)
        if asked is None or asked["redirect_uri"] != form["redirect_uri"]:
            return None
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != asked["code_challenge"]:
            return None
        token = f"hf_oauth_{secrets.token_hex(16)}"
        self.tokens[token] = asked["person"]
        return {
            "access_token": token, "token_type": "bearer", "expires_in": self.seconds,
            "scope": self.scopes, "id_token": "not.looked.at",
        }  # fmt: skip


class Handler(StandIn):
    """The endpoints."""

    provider: FakeProvider

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        if place.path == "/.well-known/openid-configuration":
            url = f"{self.provider.url}/oauth"
            ends = {"authorization": "authorize", "token": "token", "userinfo": "userinfo"}
            self.answer({f"{name}_endpoint": f"{url}/{end}" for name, end in ends.items()})
        elif place.path == "/oauth/authorize":
            asked = {name: values[0] for name, values in parse_qs(place.query).items()}
            self.send_response(302)
            self.send_header("Location", self.provider.authorize(asked))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif place.path == "/oauth/userinfo":
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            person = self.provider.tokens.get(token)
            if person is None:
                self.send_error(401)
                return
            self.answer({"sub": f"id-of-{person}", "preferred_username": person, "name": person})
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
        pair = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if self.path != "/oauth/token" or self.headers.get("Authorization") != f"Basic {pair}":
            self.send_error(401)
            return
        given = self.provider.exchange({name: one[0] for name, one in parse_qs(sent).items()})
        if given is None:
            self.send_error(400)
        else:
            self.answer(given)


@contextlib.contextmanager
def running_provider() -> Iterator[FakeProvider]:
    """The stand-in, until the end of the block."""
    provider = FakeProvider()
    with serving(type("BoundHandler", (Handler,), {"provider": provider})) as port:
        provider.url = f"http://127.0.0.1:{port}"
        yield provider
