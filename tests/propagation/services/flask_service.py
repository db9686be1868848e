"""Flask, a thread for each request."""

from propagation.services.setup import set_up

set_up()

from flask import Flask  # noqa: E402

from propagation.services import sync_clients, threaded  # noqa: E402

app = Flask(__name__)


@app.get("/")
def ready() -> str:
    """Say that it serves."""
    return "ready"


@app.get("/<client>/<number>")
def call(client: str, number: str) -> str:
    """Call on."""
    sync_clients.call(client, number)
    return number


threaded.serve(app)
