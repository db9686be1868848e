"""Calls between services, and trials: requests that trace their path through the mesh."""

from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, HTTPException

from detour.contract import CallListOut, ExpectedOut, HopOut, TrialIn, TrialOut, collected
from detour.overrides import Kind, Overrides, append_to_baggage
from detour.server.api.bodies import call_out
from detour.server.api.callers import Caller
from detour.server.api.operations import Tag
from detour.server.api.problems import NO_DATABASE, documented
from detour.server.control_plane import ControlPlane
from detour.server.edge_client import EdgeUnreachableError, TrialRequest
from detour.server.trials import NoEdgeError, Outcome, with_trial_id
from detour.traffic.hops import parents
from detour.traffic.trials import TooManyTrialsError

_LONGEST_ID: Final = "0" * 24


def add_traffic(app: FastAPI, plane: ControlPlane) -> None:
    """Add the operations to an API."""

    @app.get("/v1/calls", tags=[Tag.TRAFFIC])
    async def list_calls() -> CallListOut:
        """List which services called which, as Envoys counted in the last minute.

        The list does not contain calls without requests in the last ten minutes, calls that left the mesh, or
        calls that reached no instance.
        """
        return CallListOut(items=[call_out(one) for one in plane.calls.recent()])

    @app.post(
        "/v1/trials",
        tags=[Tag.TRAFFIC],
        responses=documented(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.CONFLICT,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.TOO_MANY_REQUESTS,
            NO_DATABASE,
            HTTPStatus.BAD_GATEWAY,
            HTTPStatus.GATEWAY_TIMEOUT,
        ),
    )
    async def try_request(body: TrialIn, caller: Caller) -> TrialOut:
        """Send a request through the edge that the mesh file names, and return each of its hops."""
        request = _request_of(body, plane.scenarios.overrides_of(body.scenario))
        try:
            outcome = await plane.trials.attempt(caller, request)
        except NoEdgeError as error:
            raise HTTPException(HTTPStatus.CONFLICT, str(error)) from error
        except TooManyTrialsError as error:
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, str(error)) from error
        except EdgeUnreachableError as error:
            raise HTTPException(HTTPStatus.BAD_GATEWAY, str(error)) from error
        except TimeoutError as error:
            raise HTTPException(HTTPStatus.GATEWAY_TIMEOUT, str(error)) from error
        return _out(outcome, request)


def _hops(outcome: Outcome) -> list[HopOut]:
    hops = outcome.hops
    first = min((one.start for one in hops), default=0.0)
    return [
        HopOut(
            caller=one.caller,
            caller_deployment=one.caller_deployment,
            caller_instance=one.caller_instance,
            service=one.service,
            deployment=one.deployment,
            served_by=one.served_by,
            method=one.method,
            path=one.path,
            status=one.status,
            grpc_status=one.grpc_status,
            why=one.why,
            offset_ms=_milliseconds(one.start - first),
            duration_ms=_milliseconds(one.seconds),
            parent=parent,
        )
        for one, parent in zip(hops, parents(hops), strict=True)
    ]


def _request_of(body: TrialIn, of_scenario: Overrides) -> TrialRequest:
    """Return the request to send, with the overrides of the scenario.

    Raises:
        HTTPException: Its overrides leave no room in the header for the id of the trial.
    """
    overrides = collected(body.overrides)
    try:
        append_to_baggage(None, with_trial_id(overrides, _LONGEST_ID))
    except ValueError as error:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
    return TrialRequest(
        overrides=overrides,
        scenario=body.scenario,
        of_scenario=of_scenario,
        method=body.method,
        path=body.path,
        host=body.host,
        headers=body.headers,
        body=body.body,
    )


def _out(outcome: Outcome, request: TrialRequest) -> TrialOut:
    routes = request.overrides.over(request.of_scenario).of(Kind.ROUTE)
    answer = outcome.answer
    return TrialOut(
        id=outcome.id,
        url=answer.url,
        status=answer.status,
        duration_ms=_milliseconds(answer.seconds),
        body=answer.body,
        truncated=answer.truncated,
        headers=dict(answer.headers),
        hops=_hops(outcome),
        expected=[
            ExpectedOut(service=service, deployment=name, reached=outcome.reached(service, name))
            for service, name in routes.items()
        ],
        note=outcome.note,
    )


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 2)
