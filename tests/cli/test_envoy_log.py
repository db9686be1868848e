"""What is printed of an Envoy's log."""

from detour.cli.envoy_log import EnvoyLog

AT = "[2026-11-30 13:40:57.009][13860]"
LOST = (
    f"{AT}[warning][config] [./source/extensions/config_subscription/grpc/grpc_stream.h:227]"
    " DeltaAggregatedResources gRPC config stream to @control-plane closed since 1s ago: 14, upstream connect error"
    "{upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}}"
)
REFUSED = f"{AT}[error][config] [source/x.cc:152] delta config for RouteConfiguration rejected: no such cluster"
START = (
    f"{AT}[warning][main] [source/server/server.cc:1059] There is no configured limit to the number of allowed"
    " active downstream connections."
)


def test_an_absent_control_plane_is_one_line():
    """However often Envoy says so, until it is back."""
    log = EnvoyLog("127.0.0.1:15010")
    said = [log.read(line) for line in (START, LOST, LOST, "  more of it", LOST)]
    line = "The control plane at 127.0.0.1:15010 cannot be reached (connection refused); retrying until it answers"
    assert said == ["", line, "", "", ""]
    assert log.reconnected() == "The control plane at 127.0.0.1:15010 answers now"
    assert log.read(LOST) == line


def test_everything_else_is_printed_and_bounded():
    """With its level, without where it stands in Envoy's source; no line is longer than a screen."""
    log = EnvoyLog("127.0.0.1:15010")
    assert log.read(REFUSED) == "Envoy (error): delta config for RouteConfiguration rejected: no such cluster"
    assert log.read("its next line\n") == "its next line"
    assert len(log.read(REFUSED + "x" * 15_000)) < 500
