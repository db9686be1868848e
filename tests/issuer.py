"""A real OpenID Connect issuer for tests, and people who sign in there."""

import fcntl
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

CLIENT = "detour"
SCOPES = "openid profile email offline_access"

_FOLDER = Path(__file__).with_name("access") / "issuer"
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def why_not() -> str:
    """Install it; say why that can't be done, "" if it is done."""
    if not (shutil.which("node") and shutil.which("npm")):
        return "no Node.js with npm on this machine"
    with (Path(tempfile.gettempdir()) / "detour-issuer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (_FOLDER / "package-lock.json").read_text()
        stamp = _FOLDER / "node_modules" / ".installed"
        if not stamp.exists() or stamp.read_text() != wanted:
            command = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
            ran = subprocess.run(command, cwd=_FOLDER, capture_output=True, text=True, check=False, timeout=200)
            if ran.returncode:
                return f"npm could not install the issuer: {ran.stderr.strip()[-200:]}"
            stamp.write_text(wanted)
    return ""


@dataclass(frozen=True)
class RunningIssuer:
    """An issuer at work."""

    url: str

    def id_token(self, name: str) -> str:
        """Sign somebody in, and return their ID token."""
        return self.signed_in(name)["id_token"]

    def signed_in(self, name: str) -> dict[str, Any]:
        """Sign somebody in, as a device does; return what it is given."""
        begun = httpx.post(f"{self.url}/device/auth", data={"client_id": CLIENT, "scope": SCOPES}).json()
        confirm(begun["verification_uri_complete"], name)
        form = {"grant_type": _DEVICE_GRANT, "device_code": begun["device_code"], "client_id": CLIENT}
        return httpx.post(f"{self.url}/token", data=form).raise_for_status().json()


@contextmanager
def running(port: int = 0) -> Iterator[RunningIssuer]:
    """Run an issuer with keys of its own."""
    process = subprocess.Popen(
        ["node", "--no-warnings", "issuer.mjs", CLIENT, str(port)],
        cwd=_FOLDER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            url = process.stdout.readline().strip()
            assert url, "the issuer did not start"
            yield RunningIssuer(url)
        finally:
            process.kill()


def confirm(url: str, name: str) -> None:
    """Do what a person does who opens the link of a device's sign-in: fill in each form, and send it."""
    with httpx.Client(follow_redirects=True) as browser:
        page = browser.get(url)
        while form := re.search(r"<form[^>]*action=\"([^\"]+)\".*?</form>", page.text, re.DOTALL):
            inputs = re.findall(r"<input[^>]*>", form[0])
            filled = {
                found[1]: unescape(_value(one)) for one in inputs if (found := re.search(r'name="([^"]+)"', one))
            }
            filled |= {key: name for key in ("login", "password") if key in filled}
            page = browser.post(urljoin(str(page.url), unescape(form[1])), data=filled)
        assert page.is_success, page.text


def _value(one: str) -> str:
    found = re.search(r'value="([^"]*)"', one)
    return found[1] if found else ""
