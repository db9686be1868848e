"""`detour inject` and `detour redirect --dry-run`, as people run them."""

import io
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml

from cli.running import refusal
from detour.injection import InjectionSettings
from detour.injection.manifests import inject_manifests

Detour = Callable[..., "CompletedProcess[str]"]
MANIFESTS = Path(__file__).with_name("golden") / "shop.in.yaml"


def test_manifests_are_printed_with_sidecars(here: Detour) -> None:
    """Messages name the objects that did not change."""
    done = here("inject", "-f", str(MANIFESTS))
    injected = inject_manifests(MANIFESTS.read_text(), InjectionSettings())
    assert (done.returncode, done.stdout) == (0, injected.text)
    assert done.stderr.splitlines() == list(injected.notes)


def test_standard_input_may_be_given(here: Detour, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the last part of a pipe; options reach the sidecar."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"kind: Pod\nspec: {containers: [{name: a}]}\n")))
    options = (
        "--mode",
        "transparent",
        "--no-tls",
        "--no-native",
        "--detour-image",
        "mine",
        "--envoy-image",
        "other",
    )
    spec = yaml.safe_load(here("inject", "-f", "-", *options, "--control-plane", "detour.test:7").stdout)["spec"]
    assert [one["image"] for one in spec["initContainers"]] == ["mine"]
    assert spec["containers"][0]["image"] == "other"
    assert '"detour.test"' in spec["containers"][0]["args"][1]
    assert "volumes" not in spec


def test_line_ends_and_comments_stay(here: Detour, tmp_path: Path) -> None:
    """In every byte, where a document has no pods."""
    file = tmp_path / "shop.yaml"
    file.write_bytes("# ∞\r\nkind: ConfigMap\r\n---\n{{ odd\r\n... \n".encode())
    assert here("inject", "-f", str(file)).stdout.encode() == file.read_bytes()


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "No such file"), ("containers: [", "this is not YAML"), ("kind: Pod\nspec: {containers: 7}", "Pod")],
)
def test_mistakes_are_one_line(here: Detour, tmp_path: Path, text: str | None, words: str) -> None:
    """With the file's name."""
    file = tmp_path / "shop.yaml"
    if text is not None:
        file.write_text(text)
    said = refusal(here("inject", "-f", str(file)))
    assert words in said
    assert str(file) in said


def test_rules_can_be_seen_before_they_are_made(here: Detour) -> None:
    """Of both IP versions, without any right."""
    done = here("redirect", "--dry-run", "--exclude-port", "3306")
    assert done.stdout.count("--dport 3306 -j RETURN") == 2
    assert "# ip6tables-restore --noflush\n*nat\n" in done.stdout


@pytest.mark.parametrize("option", ["--to-port=0", "--exclude-port=65536", "--exclude-cidr=10.0.0.0/33"])
def test_what_is_no_rule_is_refused(here: Detour, option: str) -> None:
    """Before anything is changed."""
    assert refusal(here("redirect", "--dry-run", option))
