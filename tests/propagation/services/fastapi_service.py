"""FastAPI: coroutines, functions that run in a thread pool, and background tasks."""

from propagation.services.setup import set_up

set_up()

from fastapi import BackgroundTasks, FastAPI  # noqa: E402
from fastapi.responses import PlainTextResponse, Response, StreamingResponse  # noqa: E402

from propagation.services import asgi, async_clients, late, sync_clients  # noqa: E402

app = FastAPI()


@app.get("/")
async def ready() -> str:
    """Say that it serves."""
    return "ready"


@app.get("/sync {client}/{number}")
def call_from_thread(client: str, number: str) -> Response:
    """Call on from the thread pool in which FastAPI runs functions."""
    way, client = late.split(client)
    if way == "lazy body":
        return StreamingResponse(late.body(client, number))
    if way == "outliving":
        late.outlive(client, number)
    else:
        sync_clients.call(client, number)
    return PlainTextResponse(number)


@app.get("/background {client}/{number}")
async def call_behind(client: str, number: str, tasks: BackgroundTasks) -> str:
    """Call on when the answer has been sent."""
    tasks.add_task(async_clients.call, client, number)
    return number


@app.get("/{client}/{number}")
async def call(client: str, number: str) -> Response:
    """Call on: at once, or late."""
    way, client = late.split(client)
    if way == "lazy body":
        return StreamingResponse(late.async_body(client, number))
    if way == "outliving":
        late.outlive_async(client, number)
    else:
        await async_clients.call(client, number)
    return PlainTextResponse(number)


asgi.serve(app)
