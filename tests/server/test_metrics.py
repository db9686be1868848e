"""The metrics, as Prometheus' own parser reads them."""

from prometheus_client.parser import text_string_to_metric_families

from detour import __version__


async def read(http) -> dict[tuple[str, frozenset], float]:
    """Return every sample, by name and labels."""
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value for one in families for sample in one.samples
    }


def labels(**values: str) -> frozenset:
    """Return labels in the form that `read` uses."""
    return frozenset(values.items())


async def test_the_state_of_the_server(http):
    """The numbers of services, deployments, Envoys and so on."""
    await http.post("/v1/deployments", json={"service": "users", "name": "pr-42", "endpoints": []})
    for name in ("a", "b"):
        body = {"overrides": {"route.users": "pr-42"}}
        await http.put(f"/v1/scenarios/{name}", json=body, headers={"if-none-match": "*"})
    await http.delete("/v1/scenarios/b", headers={"if-match": '"1"'})
    found = await read(http)
    assert found["detour_info", labels(version=__version__)] == 1
    assert found["detour_ready", labels()] == 0
    assert found["detour_services", labels()] == 2
    assert found["detour_deployments", labels(source="mesh file")] == 1
    assert found["detour_deployments", labels(source="registered")] == 1
    assert found["detour_scenarios", labels(state="live")] == 1
    assert found["detour_scenarios", labels(state="removed")] == 1
    # Beside these four, the first key of override tokens.
    assert found["detour_changes", labels()] == 4 + 1
    assert found["detour_event_streams", labels()] == 0
    assert found["detour_problems", labels()] == 0


async def test_durations_of_requests(http):
    """By operation and status: arbitrary paths do not become labels, and streams are not measured."""
    for path in ("/v1/scenarios/a", "/v1/scenarios/b", "/v1/scenarios/B", "/nothing/here", "/v1/events?seconds=0"):
        await http.get(path)
    found = await read(http)
    counted = {
        (dict(key)["path"], dict(key)["status"]): value
        for (name, key), value in found.items()
        if name == "detour_http_request_seconds_count"
    }
    assert counted == {
        ("/v1/scenarios/{name}", "404"): 2,
        ("/v1/scenarios/{name}", "422"): 1,
        ("(none)", "404"): 1,
    }
