"""Flask, a thread for each request."""

from propagation.services.setup import set_up

set_up()

from flask import Flask, Response, stream_with_context  # noqa: E402

from propagation.services import late, sync_clients, threaded  # noqa: E402

app = Flask(__name__)


@app.get("/")
def ready() -> str:
    """Say that it serves."""
    return "ready"


@app.get("/<client>/<number>")
def call(client: str, number: str) -> Response:
    """Call on: at once, or late."""
    way, client = late.split(client)
    if way == "lazy body":
        return Response(late.body(client, number))
    if way == "stream_with_context":
        return Response(stream_with_context(late.body(client, number)))
    response = Response(number)
    if way == "call_on_close":
        response.call_on_close(lambda: sync_clients.call(client, number))
    elif way == "outliving":
        late.outlive(client, number)
    else:
        sync_clients.call(client, number)
    return response


threaded.serve(app)
