"""Signing in, with a real issuer and with API tokens."""

import json
import stat
import subprocess
import sys
from collections.abc import Iterator

import pytest

import issuer as real
from cli.running import DEADLINE_SECONDS, Server, environment, refusal, running, serving

MESH = """\
services:
  users: {endpoints: ["127.0.0.1:9001"]}
"""


@pytest.fixture(scope="module")
def issuer() -> Iterator[real.RunningIssuer]:
    """Run the issuer."""
    if why := real.why_not():
        pytest.skip(why)
    with real.running() as found:
        yield found


@pytest.fixture
def server(tmp_path, issuer) -> Iterator[Server]:
    """Run a server whose people sign in there."""
    mesh = tmp_path / "mesh" / "mesh.yaml"
    mesh.parent.mkdir()
    mesh.write_text(MESH)
    with serving(mesh, "--oidc-issuer", issuer.url, "--oidc-client-id", real.CLIENT) as found:
        yield found


def test_sign_in_in_a_browser(tmp_path, server):
    """What is done from then on is done under that name; the token lies where nobody else can read it."""
    home = {"XDG_CONFIG_HOME": str(tmp_path / "home")}
    assert "sign in: detour login" in refusal(server.detour("scenario", "ls", **home))
    with running(tmp_path / "login.log", "login", DETOUR_SERVER=server.url, **home) as login:
        real.confirm(login.wait_for(r"Open (\S+) and confirm the code \S+")[1], "developer-ada")
        said = login.wait_for(r"Signed in to \S+ as (\S+), (\S+); credentials are stored in (\S+)\n")
        assert (said[1], said[2]) == ("developer-ada@example.test", "developer")
        assert login.process.wait(DEADLINE_SECONDS) == 0
    kept = tmp_path / "home" / "detour" / "credentials.json"
    assert (said[3], stat.S_IMODE(kept.stat().st_mode)) == (str(kept), 0o600)
    assert server.detour("scenario", "save", "checkout", "users=pr-42", "--force", **home).returncode == 0
    made = json.loads(server.detour("scenario", "show", "checkout", "--json", **home).stdout)
    assert (made["owner"], made["changed_by"]) == ("developer-ada@example.test",) * 2
    _let_expire(kept)
    assert server.detour("scenario", "rm", "checkout", **home).returncode == 0, "the issuer gives another token"
    assert "Signed out of" in server.detour("logout", **home).stdout
    assert "sign in: detour login" in refusal(server.detour("scenario", "ls", **home))


def _let_expire(kept):
    known = json.loads(kept.read_text())
    (one,) = known.values()
    one["expires"], one["token"] = 0, "gone"
    kept.write_text(json.dumps(known))


def test_api_tokens(tmp_path, issuer, server):
    """Made once signed in; brought by a variable, or signed in with; refused from when they are removed."""
    admin = {"DETOUR_TOKEN": issuer.id_token("admin-root")}
    made = server.detour("token", "create", "ci", "--owner", "bot", "--ttl", "90d", **admin)
    assert made.returncode == 0, made
    token, id_ = made.stdout.strip(), made.stderr.split()[1]
    assert token.startswith(f"detour_{id_}_")
    assert "bot" in server.detour("token", "ls", DETOUR_TOKEN=token).stdout
    home = {"XDG_CONFIG_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "detour", "login", "--with-token", "--server", server.url]
    done = subprocess.run(
        command, input=token, env=environment(**home), capture_output=True, text=True, check=False, timeout=30
    )
    assert "as bot, developer" in done.stdout, done
    assert server.detour("offload", "ls", **home).returncode == 0
    assert server.detour("token", "rm", id_, **admin).returncode == 0
    assert "this API token is invalid or expired" in refusal(server.detour("offload", "ls", **home))


def test_options_that_do_not_fit(tmp_path):
    """Are refused at the start, with what to give."""
    mesh = tmp_path / "mesh.yaml"
    mesh.write_text(MESH)
    for options, why in (
        (("--oidc-client-id", "a"), "need --oidc-issuer"),
        (("--oidc-issuer", "https://a.example"), "needs --oidc-client-id"),
        (("--oidc-issuer", "http://a.example", "--oidc-client-id", "a"), "expected a URL such as https"),
        (("--oidc-issuer", "https://a", "--oidc-client-id", "a", "--oidc-role", "cook=x"), "expected ROLE=VALUE"),
    ):
        command = [sys.executable, "-m", "detour", "serve", "--mesh", str(mesh), "--api", "127.0.0.1:0", *options]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, timeout=30)
        assert why in refusal(done)
