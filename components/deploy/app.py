"""The HTTP application: SageMaker's contract for a serving container.

`GET /ping` and `POST /invocations`, as in
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from components.deploy.answers import answer, headers
from components.deploy.batching import Batcher, BusyError, ImageModel
from components.deploy.request import Limits, RefusedError, read_image

_log = logging.getLogger("uvicorn.error")


def create_app(model: ImageModel, limits: Limits | None = None) -> FastAPI:
    """Return the application that answers for `model`, which must be loaded and warm.

    A request at fault gets a 4xx status, one that comes while too many wait 503, and only a
    fault of ours 500; each with `{"error": reason}`.
    """
    allowed = limits or Limits()
    batcher = Batcher(model, allowed.waiting)
    bodies = asyncio.Semaphore(allowed.reading)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with batcher:
            yield

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    identity = model.identity
    about = headers(identity)

    @app.get("/ping")
    async def ping() -> JSONResponse:
        """Say whether requests will be answered, and by which model."""
        details = {
            "status": "ready" if batcher.alive else "not ready",
            "model": identity.name,
            "version": identity.version,
            "task": identity.task,
            "classes": list(identity.classes),
        }
        return JSONResponse(details, 200 if batcher.alive else 503)

    @app.post("/invocations")
    async def invocations(request: Request) -> JSONResponse:
        """Answer for the image in the body."""
        if bodies.locked():
            raise BusyError
        async with bodies:
            image = await read_image(request, allowed)
        prediction = await batcher.predict(image)
        return JSONResponse(answer(prediction, identity.task), headers=about)

    _add_error_handlers(app)
    return app


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(RefusedError)
    async def refused(_: Request, error: RefusedError) -> JSONResponse:
        return JSONResponse({"error": error.reason}, error.status)

    @app.exception_handler(BusyError)
    async def busy(_: Request, __: BusyError) -> JSONResponse:
        reason = "too many requests are waiting; try again"
        return JSONResponse({"error": reason}, 503, headers={"Retry-After": "1"})

    @app.exception_handler(HTTPException)
    async def unknown(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> JSONResponse:
        _log.error("a request failed", exc_info=error)
        return JSONResponse({"error": "the server failed; see its log"}, 500)
