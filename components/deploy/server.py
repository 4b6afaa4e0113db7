"""Serve a model archive over HTTP: `python -m components.deploy.server --model model.tar.gz`."""

import argparse
import io
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from PIL import Image

from components.deploy.app import create_app
from components.deploy.batching import ImageModel
from components.deploy.request import Limits
from components.shared.errors import UserError
from components.shared.files import write_text
from components.shared.inference import Predictor
from components.shared.step import reported_errors

_GRACE_SECONDS = 10  # for requests under way when the server is told to stop
_WARM_UP_EDGE = 64


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are answered first."""
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, _exit)
    if options.lifeline:
        threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    with reported_errors():
        model = _load(options.model, options.device)
        listener = _listen(options.host, options.port)
        limits = Limits(body_bytes=options.max_body_bytes, pixels=options.max_pixels)
        _serve(model, listener, limits, options.address_file)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    limits = Limits()
    parser = argparse.ArgumentParser("python -m components.deploy.server", description=__doc__)
    add = parser.add_argument
    add("--model", type=Path, required=True, help="the archive that the train step wrote")
    add("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 in a container")
    add("--port", type=int, default=8080, help="0: any free one")
    add("--device", default="auto", help="auto, cpu or cuda")
    add("--max-body-bytes", type=int, default=limits.body_bytes, metavar="N")
    add("--max-pixels", type=int, default=limits.pixels, metavar="N")
    add("--address-file", type=Path, help="where to write the address once it is chosen")
    add("--lifeline", action="store_true", help="stop when standard input ends")
    return parser.parse_args(arguments)


def _exit(*_: object) -> None:
    """Stop with success: being told to stop is how a server ends."""
    sys.exit(0)


def _stop_at_end_of_input() -> None:
    """Stop with the process that holds the other end, even if it was killed."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _load(path: Path, device: str) -> ImageModel:
    """Load the model and run it once, so that the first client does not pay for it."""
    if not path.exists():
        raise UserError(f"{path}: no such model archive; expected what the train step wrote")
    model = Predictor.load(path, device)
    picture = io.BytesIO()
    Image.new("RGB", (_WARM_UP_EDGE, _WARM_UP_EDGE)).save(picture, "JPEG")
    model.predict([picture.getvalue()])
    return model


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        raise UserError(
            f"cannot listen on {host} port {port}: {error}; choose another with --port "
            "(0: any free one)"
        ) from None


def _serve(
    model: ImageModel, listener: socket.socket, limits: Limits, address_file: Path | None
) -> None:
    address = _address(listener)
    identity = model.identity
    print(f"serving {identity.name} ({identity.task}, {identity.version[:12]}) at {address}")
    sys.stdout.flush()
    if address_file is not None:
        write_text(address_file, address)
    config = uvicorn.Config(
        create_app(model, limits),
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


if __name__ == "__main__":
    main()
