"""Who asks an app during a soak: users whose every answer is judged, one who uploads, and one who
fine-tunes through the page's own form."""

import asyncio
import contextlib
import itertools
import json
import random
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import httpx

from bench.page_form import SHOWN, FormSent, fill_form, read_form
from bench.verdicts import (
    BUSY,
    Kind,
    Outcome,
    Tally,
    is_sentence,
    judge_malformed,
    judge_picture,
    list_malformed,
)
from demo.gallery import EXAMPLES_DIR
from demo.jobs.store import create_token

USERS = 50
MALFORMED = 0.05
"""Share of the requests."""
PATIENCE_S = 60.0
PICTURES = ("cat-test.png", "ship-test.png", "dog-photo.jpg")
HALF_A_REQUEST = b"POST /v1/classify HTTP/1.1\r\nHost: app\r\nContent-Length: 9999\r\n\r\nx"
UPLOADED = "soak-"
"""Begins the names of uploaded files."""
UPLOAD_EVERY_S = 1.0
DOWN_S = 0.25
"""After a broken connection a user waits so long."""
LOOK_S = 0.05
JOBS = (
    {"start": "sgd_frozen", "trained": "last_layer", "images": 64, "epochs": 1},
    {"start": "sgd_full", "trained": "all", "images": 1500, "epochs": 3},
)
"""What is fine-tuned, in turn: one that ends soon, and one that is there to be killed."""
JOB_PAUSE_S = 1.0


class Crowd:
    """Asks whatever app is there, from addresses of its own on the loopback network, until it is
    told to rest. Its switches are thrown by another thread."""

    def __init__(self) -> None:
        self.url = ""
        self.up = False
        """Whether an app is there that ought to answer."""
        self.working = False
        self.over = False
        self.full = False
        """Whether the disk is, so that what is stored may be declined."""
        self.declined: Counter[str] = Counter()
        """Uploads and jobs that were declined in one sentence while it was."""
        self.active = 0
        """How many are not at rest."""
        self.life = 0
        """How many apps there were; a request that meets two may break."""
        self.tally = Tally()
        self._pictures = [(EXAMPLES_DIR / name).read_bytes() for name in PICTURES]
        self._expected: list[dict[str, Any]] = []
        self._malformed = list_malformed(self._pictures[0])
        self._token = create_token()
        self._page: dict[str, Any] = {SHOWN: "", "sent": {}, "delete-asked": ""}
        """What the page that fine-tunes holds."""
        self._config: tuple[int, dict[str, Any]] = -1, {}
        """Which app's it is, and how the page is described."""

    def learn(self) -> None:
        """Asks for every picture once: these answers are the right ones from now on."""
        for picture in self._pictures:
            answer = httpx.post(f"{self.url}/v1/classify", content=picture, timeout=PATIENCE_S)
            self._expected.append(answer.raise_for_status().json())

    async def ask(self) -> None:
        """Runs everybody until it is over."""
        users = [self._keep(self._be_user, 2 + number) for number in range(USERS)]
        await asyncio.gather(
            *users, self._keep(self._be_uploader, 101), self._keep(self._be_tuner, 102)
        )

    async def _keep(
        self, be: Callable[[httpx.AsyncClient, int], Coroutine[Any, Any, None]], number: int
    ) -> None:
        """Somebody who works while all do, and holds no connection at rest."""
        while not self.over:
            if self.working:
                self.active += 1
                address = f"127.0.0.{number}"
                transport = httpx.AsyncHTTPTransport(local_address=address)
                async with httpx.AsyncClient(transport=transport, timeout=PATIENCE_S) as client:
                    await be(client, number)
                self.active -= 1
            await asyncio.sleep(LOOK_S)

    async def _be_user(self, client: httpx.AsyncClient, number: int) -> None:
        chance = random.Random(f"{number} {self.life}")
        leaving = len(self._malformed)
        while self.working:
            if chance.random() >= MALFORMED:
                index = chance.randrange(len(self._pictures))
                await self._ask_picture(client, index, in_form=chance.random() < 0.5)
                continue
            chosen = chance.randrange(leaving + 1)
            if chosen == leaving:
                await self._leave(f"127.0.0.{number}")
            else:
                await self._ask_malformed(client, self._malformed[chosen])

    async def _ask_picture(self, client: httpx.AsyncClient, index: int, in_form: bool) -> None:
        picture = self._pictures[index]
        sent: dict[str, Any] = {"files": {"file": picture}} if in_form else {"content": picture}
        start, full = time.perf_counter(), self.full
        answer = await self._send("a picture", client, "POST", "/v1/classify", **sent)
        if answer is not None:
            outcome, difference = judge_picture(
                answer.status_code, answer.content, self._expected[index]
            )
            self.tally.add("a picture", outcome, _tell(answer))
            self.tally.difference = max(self.tally.difference, difference)
            if outcome is Outcome.ANSWERED:
                self.tally.seconds.append(time.perf_counter() - start)
                self.tally.answered_while_full += full and self.full

    async def _ask_malformed(self, client: httpx.AsyncClient, kind: Kind) -> None:
        answer = await self._send(
            kind.title, client, kind.method, kind.path, content=kind.content, headers=kind.headers
        )
        if answer is not None:
            outcome = judge_malformed(kind, answer.status_code, answer.content)
            self.tally.add(kind.title, outcome, _tell(answer))

    async def _leave(self, address: str) -> None:
        """Sends half of a request and goes."""
        port = int(self.url.rpartition(":")[2])
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
            writer.write(
                b"POST /v1/classify HTTP/1.1\r\nHost: app\r\nContent-Length: 9999\r\n\r\nx"
            )
            await writer.drain()
            writer.close()
        self.tally.add("half a request", Outcome.LEFT)

    async def _be_uploader(self, client: httpx.AsyncClient, _: int) -> None:
        """Uploads as the page does; nobody asks about these files."""
        while self.working:
            full, number = self.full, self.tally.counts.total()
            files = {"files": (f"{UPLOADED}{number}.png", self._pictures[0])}
            answer = await self._send(
                "an upload", client, "POST", "/gradio_api/upload", files=files
            )
            if answer is not None and answer.status_code == 200:
                self.tally.add("an upload", Outcome.ANSWERED)
            elif answer is not None:
                refused = answer.status_code in BUSY | {507} and is_sentence(answer.text)
                right = refused and (full or self.full)
                self.declined["uploads"] += right
                outcome = Outcome.REFUSED if right else Outcome.LOST
                self.tally.add("an upload", outcome, _tell(answer))
            await asyncio.sleep(UPLOAD_EVERY_S)

    async def _be_tuner(self, client: httpx.AsyncClient, _: int) -> None:
        """Starts the next job whenever the last has ended, and stops the one that runs in the
        end."""
        for number in itertools.count():
            runs = True
            while self.working and runs:
                await asyncio.sleep(JOB_PAUSE_S)
                told = await self._press(client, "")
                runs = told is None or self._page.get("stop-job", False)
            if not self.working:
                await self._press(client, "stop-job")
                return
            await self._start_job(client, JOBS[number % len(JOBS)])

    async def _start_job(self, client: httpx.AsyncClient, settings: Mapping[str, Any]) -> None:
        full, before = self.full, self._page[SHOWN]
        told = await self._press(client, "start-job", settings)
        if told is None:
            return
        if self._page[SHOWN] != before:
            self.tally.add("a job", Outcome.ANSWERED)
            self.tally.jobs.append(self._page[SHOWN])
            return
        said = " ".join(re.sub(r"<[^>]*>", " ", str(told.get("estimate", ""))).split())
        right = is_sentence(said) and (full or self.full)
        self.declined["jobs"] += right
        self.tally.add("a job", Outcome.REFUSED if right else Outcome.LOST, said)

    async def _press(
        self, client: httpx.AsyncClient, button: str, settings: Mapping[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """Presses a button of the Fine-tune tab, or none: looks as its timer does.

        Returns:
            What is new on the page, or None where there is no answer, which is counted.
        """
        title = "a button" if button else "a look"
        if self._config[0] != self.life:
            answer = await self._send(title, client, "GET", "/config")
            if answer is None or answer.status_code != 200:
                return None
            self._config = self.life, answer.json()
        given = {f"setting-{name}": value for name, value in (settings or {}).items()}
        form = fill_form(self._config[1], button, self._token, {**self._page, **given})
        output = await self._call(client, form, title)
        if output is None:
            return None
        told = read_form(form, output)
        self._page |= {name: told[name] for name in (SHOWN, "sent") if name in told}
        if isinstance(told.get("stop-job"), dict):
            self._page["stop-job"] = told["stop-job"].get("interactive", False)
        self.tally.add(title, Outcome.ANSWERED)
        return told

    async def _call(self, client: httpx.AsyncClient, form: FormSent, title: str) -> Any | None:
        """A call of the page, and what its stream tells in the end."""
        session, life = secrets.token_hex(8), self.life
        body = {**form.body, "session_hash": session, "trigger_id": form.trigger}
        joined = await self._send(title, client, "POST", "/gradio_api/queue/join", json=body)
        if joined is None or joined.status_code != 200:
            if joined is not None:
                self.tally.add(title, Outcome.LOST, _tell(joined))
            return None
        data = f"{self.url}/gradio_api/queue/data?session_hash={session}"
        try:
            async with client.stream("GET", data) as stream:
                async for line in stream.aiter_lines():
                    message = json.loads(line.removeprefix("data: ") or "{}")
                    if message.get("msg") == "process_completed":
                        return message["output"]
            self.tally.add(title, self._judge_break(life), "its stream ended")
        except httpx.TransportError as error:
            self.tally.add(title, self._judge_break(life), repr(error))
        return None

    async def _send(
        self, title: str, client: httpx.AsyncClient, method: str, path: str, **sent: Any
    ) -> httpx.Response | None:
        """An answer, or None, which is counted, where the connection broke."""
        life = self.life if self.up else -1
        try:
            return await client.request(method, f"{self.url}{path}", **sent)
        except httpx.TransportError as error:
            outcome = self._judge_break(life)
            if outcome is Outcome.BROKEN and isinstance(error, httpx.ConnectError):
                outcome = Outcome.DOWN
            self.tally.add(title, outcome, repr(error))
            if outcome is not Outcome.LOST:
                await asyncio.sleep(DOWN_S)
            return None

    def _judge_break(self, life: int) -> Outcome:
        """What a broken connection means that began in the `life`-th app."""
        return Outcome.LOST if self.up and life == self.life else Outcome.BROKEN


def _tell(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.text[:200]}"
