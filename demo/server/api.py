"""One request for one answer: `POST /v1/classify`, `GET /v1/models`, and a page about them; and
what the owner asks, `GET /healthz` and the figures.

The same decoder, the same batches, the same sentences as the page's own calls.
"""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, ConfigDict, Field, with_config

import trainer
from demo.faults import explain
from demo.models import Classification, ModelAnswer, Models
from demo.server.addresses import name_sender_of
from demo.server.figures import CONTENT_TYPE
from demo.server.forms import read_form
from demo.server.gate import REASON, Front
from demo.server.health import Health
from demo.server.limits import RUNNING, SENDER_RUNNING, WAITING
from demo.server.refusal import Declined
from demo.server.turnstile import Turnstile
from demo.templates import render
from demo.words import server as words
from demo.words.common import LABELS
from trainer.containers.limits import LIMITS, MAX_BYTES
from trainer.decoding import shared_decoder
from trainer.decoding_child import CROPS
from trainer.errors import PictureError
from trainer.recipe import CLASSES

STATUS = {
    "picture_too_large": 413,
    "picture_waited": 503,
    "picture_no_decoder": 503,
}
"""Of a picture's fault; of all others 422."""
KINDS = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp")

for _typed in (ModelAnswer, Classification):
    with_config(ConfigDict(use_attribute_docstrings=True))(_typed)


class Refusal(BaseModel):
    """Why a request was not answered."""

    detail: str = Field(description=words.REFUSED)


class ModelDescription(BaseModel):
    """One of the models at hand."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    label: str
    """Its name on screen."""
    optimizer: str
    trained: str
    """Which layers."""
    image_px: int
    """Side of the square that it computes on."""
    test_accuracy: float
    """On CIFAR-10's test images, 0..1."""


class ModelList(BaseModel):
    """What this server answers with."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    models: dict[str, ModelDescription]
    """Recipe name to model."""
    left_out: dict[str, str]
    """Recipe name to the reason its model is missing."""
    classes: list[str]
    """What an answer chooses from."""
    pictures: str
    """What is taken, in words."""


class Api:
    """The routes below `/v1`."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self.turnstile = Turnstile(RUNNING, SENDER_RUNNING, WAITING)
        self._threads = ThreadPoolExecutor(RUNNING, "classify")
        self.app = FastAPI(
            title=words.API_TITLE, version=trainer.__version__, docs_url=None, redoc_url=None,
            openapi_url="/v1/openapi.json",
        )  # fmt: skip
        self.app.add_exception_handler(Declined, _send_declined)
        self.app.add_exception_handler(Exception, _send_fault)
        refusals: dict[int | str, dict[str, Any]] = {
            status: {"model": Refusal} for status in (400, 413, 422, 429, 503)
        }
        self.app.post(
            "/v1/classify", summary=words.CLASSIFY, description=f"{words.CLASSIFY_MORE} {LIMITS}",
            responses={200: {"model": Classification}, **refusals},
            openapi_extra={"requestBody": _describe_body()},
        )(self.classify)  # fmt: skip
        self.app.get("/v1/models", summary=words.MODELS)(self.list_models)
        self.app.get("/v1", include_in_schema=False)(self.show)

    def watch(self, health: Health, front: Front) -> None:
        """Adds the owner's routes."""

        async def tell_health() -> Response:
            ok, report = await asyncio.to_thread(health.report)
            return Response(json.dumps(report), 200 if ok else 503, None, "application/json")

        async def tell_figures() -> Response:
            return Response(
                front.figures.write(await asyncio.to_thread(health.gauges)), media_type=CONTENT_TYPE
            )

        self.app.get("/healthz", include_in_schema=False)(tell_health)
        if front.settings.metrics_path:
            self.app.get(front.settings.metrics_path, include_in_schema=False)(tell_figures)

    async def classify(
        self,
        request: Request,
        crop: str = Query("centre", description=words.CROP, json_schema_extra={"enum": [*CROPS]}),
    ) -> Response:
        """Classifies the picture that the request brings."""
        content, kind = await request.body(), request.headers.get("content-type", "")
        if kind.startswith("multipart/"):
            fields = read_form(content, kind.encode("latin-1"))
            if "file" not in fields:
                raise Declined(400, words.NO_FORM, "form")
            content = fields["file"]
            crop = fields.get("crop", crop.encode()).decode("latin-1")
        sender = name_sender_of(request)
        async with self.turnstile.enter(sender):
            loop = asyncio.get_running_loop()
            try:
                answer = await loop.run_in_executor(
                    self._threads, self._answer, content, crop, sender
                )
            except PictureError as error:
                status = STATUS.get(error.code, 422)
                retry_s = 60 if status == 503 else 0
                raise Declined(status, explain(error), error.code, retry_s) from error
        return Response(answer, media_type="application/json")

    async def list_models(self) -> ModelList:
        """The models, and what they were trained with."""
        described = {
            name: ModelDescription(
                label=LABELS[name],
                optimizer=record.recipe.optimizer,
                trained=record.recipe.trained,
                image_px=record.recipe.image_px,
                test_accuracy=record.test.accuracy,
            )
            for name, record in self._models.records.items()
        }
        left_out = {name: explain(fault) for name, fault in self._models.faults.items()}
        return ModelList(
            models=described, left_out=left_out, classes=list(CLASSES), pictures=LIMITS
        )

    async def show(self) -> HTMLResponse:
        """The page about the routes, written from their description."""
        return HTMLResponse(render("api.html", api=self.app.openapi()))

    def _answer(self, content: bytes, crop: str, sender: str) -> bytes:
        pixels = shared_decoder().decode(content, crop, sender)  # type: ignore[arg-type]
        return json.dumps(self._models.classify(pixels)).encode()


async def _send_declined(request: Request, declined: Exception) -> Response:
    assert isinstance(declined, Declined)
    request.scope[REASON] = declined.reason
    return declined.respond()


async def _send_fault(request: Request, fault: Exception) -> Response:
    return Response(json.dumps({"detail": words.FAULT}), 500, None, "application/json")


def _describe_body() -> dict[str, Any]:
    """The body of `POST /v1/classify` for OpenAPI."""
    binary = {"type": "string", "format": "binary", "maxLength": MAX_BYTES}
    crop = {"type": "string", "enum": [*CROPS], "default": "centre", "description": words.CROP}
    form = {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {**binary, "description": words.PICTURE}, "crop": crop},
    }
    content: dict[str, Any] = {kind: {"schema": binary} for kind in KINDS}
    return {"required": True, "content": {"multipart/form-data": {"schema": form}, **content}}
