"""What a mesh file says, and what is said of each mistake in it."""

import gc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detour.discovery.mesh_file import MeshFileError, parse, read
from detour.mesh import (
    Carrier,
    Endpoint,
    Mesh,
    OffloadedDeployment,
    Protocol,
    RetryPolicy,
    Service,
    Settings,
    TrustedProxies,
)

FILE = Path("mesh.yaml")

FULL = """\
carriers: [baggage, x-ot-span-context]
edge:
  hosts: {"*": web, "*.example.test": users}
  previews: {preview.example.test: web}
  url: https://staging.example.test:8443/
  badge: true
  parameter: scenario
  cookie_domain: example.test
  trusted_proxies: [10.0.0.0/8, "192.0.2.7", "fd00::/8"]
services:
  users:
    protocol: http2
    endpoints: [127.0.0.1:9001, localhost:9002, "[::1]:9003"]
    timeout: 250ms
    retries: {attempts: 2, on: [connect-failure, refused-stream]}
    deployments:
      pr-42: {endpoints: [127.0.0.1:9101], owner: ana, expires: 2030-01-01T02:00:00+02:00}
      next:
        endpoints: []
  web:
    endpoints:
      - 127.0.0.1:9000
    retries: 3
"""

CONDITIONS = (
    "'5xx', 'gateway-error', 'reset', 'reset-before-request', 'connect-failure', 'envoy-ratelimited', "
    "'retriable-4xx', 'refused-stream', 'cancelled', 'deadline-exceeded', 'internal', 'resource-exhausted' "
    "or 'unavailable'"
)


def lines_of(text: str) -> list[str]:
    """Return what is said of a mesh file that gives no mesh."""
    with pytest.raises(MeshFileError) as caught:
        parse(text.encode(), FILE)
    return str(caught.value).splitlines()


def in_users(*lines: str) -> str:
    """Return a mesh file with one service, whose keys stand on line 3 and after."""
    return "services:\n  users:\n" + "".join(f"    {line}\n" for line in lines)


def test_a_full_file_gives_the_whole_mesh(tmp_path):
    """Every key arrives in the mesh as it was meant."""
    file = tmp_path / "mesh.yaml"
    file.write_text(FULL)
    pr_42 = OffloadedDeployment(
        "users", "pr-42", (Endpoint("127.0.0.1", 9101),), "ana", datetime(2030, 1, 1, tzinfo=UTC)
    )
    users = Service(
        "users",
        (Endpoint("127.0.0.1", 9001), Endpoint("127.0.0.1", 9002), Endpoint("::1", 9003)),
        Protocol.HTTP2,
        timedelta(milliseconds=250),
        RetryPolicy(2, ("connect-failure", "refused-stream")),
    )
    web = Service("web", (Endpoint("127.0.0.1", 9000),), retries=RetryPolicy(3))
    hosts = MappingProxyType({"*": "web", "*.example.test": "users"})
    previews, url = MappingProxyType({"preview.example.test": "web"}), "https://staging.example.test:8443"
    settings = Settings(
        (Carrier.BAGGAGE, Carrier.OPENTRACING),
        hosts,
        previews,
        url,
        edge_badge=True,
        edge_parameter="scenario",
        edge_cookie_domain="example.test",
        edge_trusted_proxies=TrustedProxies(("10.0.0.0/8", "192.0.2.7/32", "fd00::/8")),
    )
    assert read(file) == Mesh.of([users, web], [pr_42, OffloadedDeployment("users", "next")], settings)


def test_names_that_yaml_takes_for_something_else_stay_names():
    """A service called `on`, a deployment called `42` or `2026-01-01`: no booleans, numbers or dates."""
    text = (
        "services:\n  on:\n    endpoints: []\n    deployments: {42: {endpoints: []}, 2026-01-01: {endpoints: []}}\n"
    )
    mesh = parse(text.encode(), FILE)
    assert set(mesh.services) == {"on"}
    assert set(mesh.deployments) == {("on", "42"), ("on", "2026-01-01")}


@pytest.mark.parametrize("text", ["services: {}", "services:", "services: {}\nedge:\n", "\ufeffservices: {}"])
def test_what_is_left_blank_is_empty(text):
    """A section whose lines are all commented out is not a mistake, and neither is an editor's byte order mark."""
    assert parse(text.encode(), FILE) == Mesh()


def test_a_blank_deployments_key_has_no_deployments():
    """The last deployment may be taken out of the file, its heading left."""
    mesh = parse(in_users("endpoints: []", "deployments:", "# pr-42: {endpoints: []}").encode(), FILE)
    assert mesh == Mesh.of([Service("users")])


def test_anchors_are_followed():
    """What many services share may be written once."""
    text = "services:\n  a: {endpoints: [], retries: &twice {attempts: 2}}\n  b: {endpoints: [], retries: *twice}\n"
    assert parse(text.encode(), FILE).services["b"].retries == RetryPolicy(2)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 'mesh.yaml: is empty: expected the key "services"'),
        ("# nothing yet\n", 'mesh.yaml: is empty: expected the key "services"'),
        ("- users\n", "mesh.yaml:1: expected a mapping of keys to values, got a list"),
        ("users\n", 'mesh.yaml:1: expected a mapping of keys to values, got "users"'),
        ("edge: {}\n", 'mesh.yaml:1: expected the key "services"'),
        (
            "services:\n\tusers: {}\n",
            (
                "mesh.yaml:2: is not YAML: while scanning for the next token, "
                r"found character '\t' that cannot start any token"
            ),
        ),
        (
            "services: [\n",
            (
                "mesh.yaml:2: is not YAML: while parsing a flow node, "
                "expected the node content, but found '<stream end>'"
            ),
        ),
        (
            "services: {}\n---\nservices: {}\n",
            "mesh.yaml:2: is not YAML: expected a single document in the stream, but found another document",
        ),
        ("services: *all\n", "mesh.yaml:1: is not YAML: found undefined alias 'all'"),
        ("services:\n  a: \x07\n", "mesh.yaml:2: is not YAML: character U+0007 is not allowed"),
        ("? [a]\n: b\nservices: {}\n", "mesh.yaml:1: expected text as a key, got a list or a mapping"),
        ("[" * 100_000, "mesh.yaml: is nested too deeply to be a mesh file"),
        (
            "services: &all {users: *all}\n",
            "mesh.yaml:1: services.users: expected a mapping of keys to values, got nothing",
        ),
    ],
)
def test_a_text_that_is_not_a_mesh_file_gets_one_line(text, line):
    """Not YAML, not a mapping, nothing at all: where, what was found and what was expected."""
    assert lines_of(text) == [line]


def test_a_file_that_is_not_utf8_is_reported_with_its_line():
    """A file in another encoding says which byte is none of UTF-8's."""
    with pytest.raises(MeshFileError, match=r"^mesh\.yaml:2: is not UTF-8 text: found byte 0xe9$"):
        parse(b"services:\n  caf\xe9: {}\n", FILE)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("endpoints: [nope]", '.endpoints[0]: expected ip:port such as 127.0.0.1:8080, got "nope"'),
        (
            "endpoints: [1.2.3.4:70000]",
            '.endpoints[0]: expected ip:port such as 127.0.0.1:8080, got "1.2.3.4:70000"',
        ),
        (
            "endpoints: [169.254.169.254:80]",
            (
                ".endpoints[0]: expected an address where an instance can be (169.254.0.0/16 is link-local; clouds "
                'serve credentials there), got "169.254.169.254:80"'
            ),
        ),
        ("endpoints: [[a]]", ".endpoints[0]: expected ip:port such as 127.0.0.1:8080, got a list"),
        ("endpoints: 127.0.0.1:80", '.endpoints: expected a list, got "127.0.0.1:80"'),
        ("endpoints: {a: b}", ".endpoints: expected a list, got a mapping"),
        ("endpoints:", ".endpoints: expected a list, got nothing"),
        ("endpoints: [1.1.1.1:1, 1.1.1.1:1]", ".endpoints: expected each only once, 1.1.1.1:1 is there 2 times"),
        ("protocol: http3", ".protocol: expected 'auto', 'http1', 'http2' or 'tcp', got \"http3\""),
        (
            "timeout: 5",
            '.timeout: expected a whole number and a unit, such as 250ms, 5s, 30m, 24h or 7d, got "5"',
        ),
        ("timeout: 0s", '.timeout: expected a duration longer than zero, and at most 36500d, got "0s"'),
        ("retries: 11", '.retries: expected a whole number from 1 to 10, got "11"'),
        ("retries: {attempts: no}", '.retries.attempts: expected a whole number from 1 to 10, got "no"'),
        ("retries: {on: [5xx]}", '.retries: expected the key "attempts"'),
        ("retries: [2]", ".retries: expected a mapping of keys to values, got a list"),
        ("retries: {attempts: 2, on: []}", ".retries.on: expected at least one"),
        ("retries: {attempts: 2, tries: 2}", ".retries.tries: unknown key, expected one of: attempts, on"),
        (
            "retries: {attempts: 2, on: [5xx, retriable-headers]}",
            f'.retries.on[1]: expected {CONDITIONS}, got "retriable-headers"',
        ),
        ("timout: 5s", '.timout: unknown key, did you mean "timeout"?'),
        ("deployments: [pr-42]", ".deployments: expected a mapping of keys to values, got a list"),
        ("deployments: {pr-42: }", ".deployments.pr-42: expected a mapping of keys to values, got nothing"),
        ("deployments: {pr-42: {owner: ana}}", '.deployments.pr-42: expected the key "endpoints"'),
        ("deployments: {d: {endpoints: [], ower: a}}", '.deployments.d.ower: unknown key, did you mean "owner"?'),
        ("deployments: {d: {endpoints: [], owner: [a]}}", ".deployments.d.owner: expected text, got a list"),
        (
            "deployments: {a b: {endpoints: []}}",
            (
                '.deployments["a b"]: expected a name of at most 63 letters, digits, dots, dashes and underscores, '
                'got "a b"'
            ),
        ),
        (
            "deployments: {d: {endpoints: [], expires: 2030-01-01}}",
            (
                ".deployments.d.expires: expected a date, time and zone, such as 2030-01-01T00:00:00Z, "
                'got "2030-01-01"'
            ),
        ),
        (
            "deployments: {d: {endpoints: [], expires: 0001-01-01T00:00:00+23:00}}",
            (
                ".deployments.d.expires: expected a date, time and zone, such as 2030-01-01T00:00:00Z, "
                'got "0001-01-01T00:00:00+23:00"'
            ),
        ),
    ],
)
def test_a_mistake_in_a_service_is_reported_with_its_place(key, message):
    """File, line, path, what was expected and what stands there."""
    known = [] if key.startswith("endpoints") else ["endpoints: []"]
    line = 3 + len(known)
    assert lines_of(in_users(*known, key)) == [f"mesh.yaml:{line}: services.users{message}"]


def test_deployments_of_what_is_passed_on_unread_are_a_mistake():
    """No request could ever reach one."""
    text = "services:\n  db:\n    endpoints: []\n    protocol: tcp\n    deployments: {pr-42: {endpoints: []}}\n"
    (line,) = lines_of(text)
    assert line.startswith("mesh.yaml:5: services.db.deployments: expected none with protocol: tcp")
    for fine in (text.replace("tcp", "http2"), text.replace("{pr-42: {endpoints: []}}", "")):
        parse(fine.encode(), FILE)


@pytest.mark.parametrize("name", ["Users", "a b", "-a", "x" * 64])
def test_a_service_needs_a_name_that_is_also_a_host_name(name):
    """Upper case and other characters are refused where the name stands."""
    (line,) = lines_of(f"services:\n  ok: {{endpoints: []}}\n  {name}: {{endpoints: []}}\n")
    assert line.startswith("mesh.yaml:3: services")
    assert (
        f'expected a name of at most 63 lower-case letters, digits, dots, dashes and underscores, got "{name[:9]}'
        in line
    )


def test_the_message_for_an_ipv6_endpoint_without_quotes_demands_them():
    """YAML takes a bracket for a list; the message says what to do."""
    for text in (in_users("endpoints: [[::1]:80]"), in_users("endpoints: []") + "    x: [::1]:80\n"):
        (line,) = lines_of(text)
        assert line.endswith(': is not YAML: an IPv6 endpoint needs quotes, as in "[::1]:8080"')


def test_two_services_of_one_name_are_reported_with_both_lines():
    """The first mistake that a copied block makes."""
    text = "services:\n  users: {endpoints: []}\n  web: {endpoints: []}\n  users: {endpoints: []}\n"
    assert lines_of(text) == ["mesh.yaml:4: services.users: is there twice, first on line 2"]


def test_two_deployments_of_one_name_are_reported_with_both_lines():
    """Two developers added the same name."""
    text = in_users("endpoints: []", "deployments:", "  pr-1: {endpoints: []}", "  pr-1: {endpoints: []}")
    assert lines_of(text) == ["mesh.yaml:6: services.users.deployments.pr-1: is there twice, first on line 5"]


@pytest.mark.parametrize(
    ("edge", "message"),
    [
        ('{hosts: {"*": wbe}}', 'edge.hosts["*"]: expected a service of this file, got "wbe", did you mean "web"?'),
        ("{hosts: {a.test: x}}", 'edge.hosts["a.test"]: expected a service of this file, got "x"'),
        (
            '{hosts: {"a:80": web}}',
            (
                'edge.hosts["a:80"]: expected a lower-case host name without port, or "*", '
                'or such as "*.example.test", got "a:80"'
            ),
        ),
        ("{previews: {a.test: x}}", 'edge.previews["a.test"]: expected a service of this file, got "x"'),
        (
            '{previews: {"*.a.test": web}}',
            (
                'edge.previews["*.a.test"]: expected a lower-case domain without port, such as '
                '"preview.example.test", got "*.a.test"'
            ),
        ),
        (
            "{url: staging.example.test}",
            (
                "edge.url: expected where people reach the edge, such as https://staging.example.test:8443, "
                'got "staging.example.test"'
            ),
        ),
        *(
            (
                f"{{trusted_proxies: {text}}}",
                (
                    "edge.trusted_proxies: expected networks such as 10.0.0.0/8, or the number of proxies in front,"
                    f" 1 to 10, got {shown}"
                ),
            )
            for text, shown in (
                ("nginx", '"nginx"'),
                ("0", '"0"'),
                ("99", '"99"'),
                ("[]", "a list"),
                ("[1]", "a list"),
            )
        ),
        ("{badge: maybe}", 'edge.badge: expected true or false, got "maybe"'),
        (
            "{parameter: a b}",
            (
                "edge.parameter: expected the name of a query parameter: at most 63 letters, digits, dots, dashes, "
                'underscores, got "a b"'
            ),
        ),
        (
            "{cookie_domain: .example.test}",
            (
                'edge.cookie_domain: expected a lower-case domain without port, such as "preview.example.test", '
                'got ".example.test"'
            ),
        ),
        ("{host: {}}", 'edge.host: unknown key, did you mean "hosts"?'),
        ("web", 'edge: expected a mapping of keys to values, got "web"'),
    ],
)
def test_a_mistake_of_the_edge_is_reported_with_its_place(edge, message):
    """Hosts are host names, and behind each stands a service of the file."""
    assert lines_of(f"services: {{web: {{endpoints: []}}}}\nedge: {edge}\n") == [f"mesh.yaml:2: {message}"]


@pytest.mark.parametrize(
    ("carriers", "message"),
    [
        ("[]", "carriers: expected at least one"),
        ("[x-ot-span-context]", "carriers: expected baggage among them: sidecars always honour it"),
        ("baggage", 'carriers: expected a list, got "baggage"'),
        ("[b3]", "carriers[0]: expected 'baggage' or 'x-ot-span-context', got \"b3\""),
        ("[baggage, baggage]", "carriers: expected each only once, baggage is there 2 times"),
    ],
)
def test_a_mistake_of_the_carriers_is_reported_with_its_place(carriers, message):
    """Only headers that sidecars can read, each once, and at least one."""
    assert lines_of(f"services: {{}}\ncarriers: {carriers}\n") == [f"mesh.yaml:2: {message}"]


def test_all_mistakes_are_reported_at_once_in_order_of_line():
    """So that one edit can correct them all."""
    text = "egde: {}\n" + in_users("endpoints: [a, b]", "timeout: x", "endpoints: []") + "  Web: {}\n"
    places = [line.split(": ")[:2] for line in lines_of(text)]
    assert places == [
        ["mesh.yaml:1", "egde"],
        ["mesh.yaml:4", "services.users.endpoints[0]"],
        ["mesh.yaml:4", "services.users.endpoints[1]"],
        ["mesh.yaml:5", "services.users.timeout"],
        ["mesh.yaml:6", "services.users.endpoints"],
        ["mesh.yaml:7", "services.Web"],
        ["mesh.yaml:7", "services.Web"],
    ]


@pytest.mark.parametrize(("name", "reason"), [("none.yaml", "No such file or directory"), ("", "Is a directory")])
def test_a_file_that_cannot_be_read_is_reported_in_one_line(tmp_path, name, reason):
    """A wrong path on the command line."""
    file = tmp_path / name
    with pytest.raises(MeshFileError) as caught:
        read(file)
    assert str(caught.value) == f"{file}: cannot be read: {reason}"


def mistakes_of(content: bytes) -> list[str]:
    """Return what is said of any content; nothing if it gives a mesh."""
    try:
        parse(content, FILE)
    except MeshFileError as error:
        return str(error).split("\n")
    return []


@given(st.binary() | st.text(alphabet="[]{}:,-&*!?|>\"'# \n\tab0.").map(str.encode))
def test_whatever_the_content_there_is_a_mesh_or_one_error(content):
    """No content raises anything but MeshFileError, and each of its lines begins with the file's name."""
    assert all(line.startswith("mesh.yaml") for line in mistakes_of(content))


def test_a_long_value_is_cut_short_in_messages():
    """A pasted document in place of a value does not flood the log."""
    (line,) = lines_of(in_users(f"endpoints: [{'x' * 500}]"))
    assert line.endswith(', got "' + "x" * 56 + "...")


def test_the_garbage_collector_does_not_traverse_a_large_mesh() -> None:
    """A full collection would stop the event loop; a small mesh stays visible to the collector."""
    before = gc.get_freeze_count()
    try:
        small = parse(_mesh_of(10), Path("mesh.yaml"))
        assert gc.get_freeze_count() == before
        large = parse(_mesh_of(15_000), Path("mesh.yaml"))
        assert (len(small.services), len(large.services)) == (10, 15_000)
        assert gc.get_freeze_count() - before > 50_000
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def _mesh_of(services: int) -> bytes:
    lines = (f"  s{number}: {{endpoints: [127.0.0.1:{number + 1}]}}\n" for number in range(services))
    return ("services:\n" + "".join(lines)).encode()
