"""The client of the Kubernetes API, on an API server whose answers a test sets."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.config.models import Cluster, User, UserExec

from detour.kubernetes.api import Api, Patch
from detour.kubernetes.errors import ApiError
from detour.kubernetes.kinds import LEASES, NAMESPACES, PODS, SECRETS
from detour.kubernetes.objects import KubernetesObject
from kubernetes_objects import pod
from scripted_api import ScriptedApi, scripted_api

USERS = PODS.object({"name": "users-1", "namespace": "shop"}, spec={"invented": [1]})


class Answers(httpx2.AsyncBaseTransport):
    """One answer to every request, and what the last request was."""

    def __init__(self) -> None:
        self.status, self.content = 200, b"{}"
        self.request: httpx2.Request | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.request = request
        return httpx2.Response(self.status, content=self.content, request=request)

    @property
    def line(self) -> str:
        """The method and the target of the last request."""
        assert self.request is not None
        return f"{self.request.method} {self.request.url.raw_path.decode()}"


@pytest.fixture
def answers() -> Answers:
    """Have an API server that answers."""
    return Answers()


def config(**user: Any) -> SingleConfig:
    """Return a configuration with these credentials."""
    found = KubeConfig.from_one(cluster=Cluster(server="http://127.0.0.1:1"), user=User(**user)).get()
    assert found is not None
    return found


@pytest.fixture
async def api(answers: Answers) -> AsyncIterator[Api]:
    """Connect to it."""
    api = Api(config(token="t"), transport=answers)
    yield api
    await api.close()


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedApi]:
    """Run an API server that lists in pages of two."""
    async with scripted_api() as server:
        server.page = 2
        for number in range(5):
            await server.put("pods", pod(f"users-{number}", f"10.0.0.{number}", app="users"))
        yield server


async def test_a_list_is_read_page_by_page(scripted: ScriptedApi) -> None:
    """To its end."""
    api = Api(scripted.config)
    found = await api.list(PODS.read_as(KubernetesObject), "shop")
    assert [one.metadata.name for one in found] == [f"users-{number}" for number in range(5)]
    assert sum("/pods" in one for one in scripted.asked) == 3
    await api.close()


async def test_an_object_is_read_as_a_view_or_whole(api: Api, answers: Answers) -> None:
    """A view has what it names, the whole has what this Detour has never heard of."""
    answers.content = json.dumps(USERS).encode()
    view = await api.get(PODS.read_as(KubernetesObject), "users-1", "shop")
    assert view is not None
    assert view.metadata.namespace == "shop"
    assert await api.get(PODS.whole, "users-1", "shop") == USERS
    assert answers.line == "GET /api/v1/namespaces/shop/pods/users-1"


async def test_an_object_that_does_not_exist_is_none_and_cannot_be_deleted(api: Api, answers: Answers) -> None:
    """Neither is an error."""
    answers.status, answers.content = 404, b'{"kind": "Status", "message": "not found", "code": 404}'
    assert await api.get(PODS.whole, "users-1", "shop") is None
    assert await api.delete(PODS, "users-1", "shop") is False
    answers.status = 200
    assert await api.delete(PODS, "users-1", "shop") is True
    assert answers.line == "DELETE /api/v1/namespaces/shop/pods/users-1?propagationPolicy=Background"


@pytest.mark.parametrize(
    ("call", "line", "content_type"),
    [
        (lambda api: api.create(USERS), "POST /api/v1/namespaces/shop/pods", "application/json"),
        (
            lambda api: api.create(USERS, is_dry_run=True),
            "POST /api/v1/namespaces/shop/pods?dryRun=All",
            "application/json",
        ),
        (lambda api: api.replace(USERS), "PUT /api/v1/namespaces/shop/pods/users-1", "application/json"),
        (
            lambda api: api.apply(USERS),
            "PATCH /api/v1/namespaces/shop/pods/users-1?fieldManager=detour&force=true",
            "application/apply-patch+yaml",
        ),
        (
            lambda api: api.patch(LEASES, "detour", USERS, "shop"),
            "PATCH /apis/coordination.k8s.io/v1/namespaces/shop/leases/detour",
            "application/merge-patch+json",
        ),
        (
            lambda api: api.patch(NAMESPACES, "shop", USERS, how=Patch.STRATEGIC),
            "PATCH /api/v1/namespaces/shop",
            "application/strategic-merge-patch+json",
        ),
    ],
)
async def test_writes(api: Api, answers: Answers, call: Callable[[Api], Any], line: str, content_type: str) -> None:
    """Each sends the whole of it, in the form that its kind of write has, and returns the new version."""
    answers.content = b'{"metadata": {"resourceVersion": "7"}}'
    assert (await call(api)).resource_version == "7"
    assert answers.line == line
    assert answers.request is not None
    assert answers.request.headers["content-type"] == content_type
    assert json.loads(answers.request.content) == USERS


async def test_a_refusal_has_the_words_the_code_and_the_causes(api: Api, answers: Answers) -> None:
    """Those of the API server."""
    details = {"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]}
    answers.status = 403
    answers.content = json.dumps({"kind": "Status", "message": "it ends", "details": details}).encode()
    with pytest.raises(ApiError, match="it ends") as caught:
        await api.create(USERS)
    assert (caught.value.code, caught.value.causes) == (403, {"NamespaceTerminating"})
    assert not caught.value.is_conflict


@pytest.mark.parametrize(
    ("answer", "message", "code"),
    [
        ((502, b"<html>bad gateway</html>"), "it answered 502", 502),
        ((409, b"{}"), "it answered 409", 409),
        ((200, b"<html>log in</html>"), "its answer is unreadable", 0),
        ((200, b'{"metadata": "users"}'), "its answer is unreadable", 0),
    ],
)
async def test_what_a_proxy_says_is_a_failure_too(
    api: Api, answers: Answers, answer: tuple[int, bytes], message: str, code: int
) -> None:
    """Whatever it is."""
    answers.status, answers.content = answer
    with pytest.raises(ApiError, match=message) as caught:
        await api.get(SECRETS.read_as(KubernetesObject), "detour-ca", "shop")
    assert caught.value.code == code
    assert caught.value.is_conflict == (code == 409)


async def test_where_nothing_listens_there_is_no_answer() -> None:
    """Reads, lists, and logs alike."""
    api = Api(config(token="t"))
    for call in (
        api.get(PODS.whole, "users-1", "shop"),
        api.list(PODS.whole),
        anext(api.log("a", "b", "c", tail=1)),
    ):
        with pytest.raises(ApiError) as caught:
            await call
        assert caught.value.code == 0
    await api.close()


@pytest.mark.parametrize(
    "command",
    ["/nowhere/aws-iam-authenticator", "/bin/false", "/bin/echo"],
)
async def test_credentials_that_cannot_be_had_are_a_failure(answers: Answers, command: str) -> None:
    """The kubeconfig's command is missing, fails, or prints no token."""
    version = "client.authentication.k8s.io/v1beta1"
    api = Api(config(exec=UserExec(apiVersion=version, command=command)), transport=answers)
    with pytest.raises(ApiError, match="the credentials could not be fetched") as caught:
        await api.list(PODS.whole, "shop")
    assert caught.value.code == 0
    await api.close()


@pytest.mark.parametrize(
    ("content", "version"),
    [
        (b'{"major": "1", "minor": "34", "gitVersion": "v1.34.2"}', (1, 34)),
        (b'{"major": "1", "minor": "29+"}', (1, 29)),
        (b'{"major": "", "minor": ""}', (0, 0)),
    ],
)
async def test_the_version_is_two_numbers(
    api: Api, answers: Answers, content: bytes, version: tuple[int, int]
) -> None:
    """Zeros where it is made of something else."""
    answers.content = content
    assert await api.version() == version


async def test_the_last_lines_of_a_log(api: Api, answers: Answers) -> None:
    """Each with its line break."""
    answers.content = b"one\ntwo\n"
    assert [line async for line in api.log("shop", "users-1", "app", tail=2)] == ["one\n", "two\n"]
    assert answers.line == "GET /api/v1/namespaces/shop/pods/users-1/log?container=app&tailLines=2"
