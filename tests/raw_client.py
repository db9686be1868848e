"""A delta xDS client that is no Envoy: it says what a test has it say, over real gRPC."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

import grpc
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
_FENCE = "type.googleapis.com/test.Fence"


class RawClient:
    """One stream.

    Args:
        channel: To the server.
        role: `sidecar` or `edge`.
        acknowledges: Whether every response is acknowledged as it is read.
        ports: Where it says that it listens itself.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        role: str = "sidecar",
        *,
        acknowledges: bool = True,
        ports: Iterable[int] = (),
    ) -> None:
        self._call = channel.stream_stream(
            METHOD,
            request_serializer=lambda one: one if isinstance(one, bytes) else one.SerializeToString(),
            response_deserializer=DeltaDiscoveryResponse.FromString,
        )()
        self._metadata = {"role": role, "ports": list(ports)}
        self._acknowledges = acknowledges
        self._has_begun = False
        self._fences = 0
        self.sizes: list[int] = []

    async def send(
        self,
        type_url: str,
        *subscribe: str,
        drop: Iterable[str] = (),
        held: Mapping[str, str] | None = None,
        nonce: str = "",
        refuses: str = "",
    ) -> None:
        """Send a request."""
        request = DeltaDiscoveryRequest(type_url=type_url, resource_names_subscribe=subscribe, response_nonce=nonce)
        request.resource_names_unsubscribe.extend(drop)
        request.initial_resource_versions.update(held or {})
        if refuses:
            request.error_detail.message = refuses
        if not self._has_begun:
            request.node.id, request.node.cluster = "raw", "caller"
            request.node.metadata.update(self._metadata)
            self._has_begun = True
        await self.send_bytes(request.SerializeToString())

    async def send_bytes(self, content: bytes) -> None:
        """Send anything at all."""
        await self._call.write(content)

    async def read(self) -> DeltaDiscoveryResponse:
        """Read the next response; raise `grpc.aio.AioRpcError` if the stream has ended."""
        async with asyncio.timeout(20):
            response = await self._call.read()
        assert response is not grpc.aio.EOF
        self.sizes.append(response.ByteSize())
        return response

    async def rest(self) -> list[DeltaDiscoveryResponse]:
        """Read all that the server has to say at the moment."""
        found: list[DeltaDiscoveryResponse] = []
        # The server takes a request once it has said everything before it: what changed before the first fence
        # has been said when the second is answered.
        for _ in range(2):
            self._fences += 1
            await self.send(_FENCE, str(self._fences))
            while (response := await self.read()).type_url != _FENCE:
                found.append(response)
                if self._acknowledges:
                    await self.send(response.type_url, nonce=response.nonce)
        return found

    async def ask(self, type_url: str, *subscribe: str, **more: object) -> tuple[dict[str, str], list[str]]:
        """Send a request; return what comes back: names with versions, and what is removed."""
        await self.send(type_url, *subscribe, **more)
        return told(type_url, await self.rest())

    async def status(self) -> tuple[grpc.StatusCode, str]:
        """Wait for the end of the stream; return its status, and the words."""
        async with asyncio.timeout(20):
            return await self._call.code(), await self._call.details()

    async def finish(self) -> None:
        """Say that nothing more is to come."""
        await self._call.done_writing()

    def abort(self) -> None:
        """Be gone."""
        self._call.cancel()


def told(type_url: str, responses: Iterable[DeltaDiscoveryResponse]) -> tuple[dict[str, str], list[str]]:
    """Return what responses say of a type: names with versions, and what is removed."""
    of_type = [one for one in responses if one.type_url == type_url]
    versions = {resource.name: resource.version for one in of_type for resource in one.resources}
    return versions, [name for one in of_type for name in one.removed_resources]


@asynccontextmanager
async def channel_to(port: int) -> AsyncIterator[grpc.aio.Channel]:
    """Connect to a server, over a connection of one's own."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 64_000_000)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield channel
