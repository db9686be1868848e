"""The sidecar of a copy whose baseline has one in its Deployment (`detour inject`)."""

import json
from copy import deepcopy
from typing import Any

import pytest

from detour.injection import InjectionSettings, Mode, inject
from detour.offload.kubernetes.copying import make_copy
from detour.offload.kubernetes.errors import CannotCopyError
from detour.offload.kubernetes.selectors import of_services
from offload.kubernetes.test_copying import USERS, WANTED, baseline


def injected(settings: InjectionSettings) -> dict[str, Any]:
    """Return a Deployment with a sidecar in it."""
    live = baseline()
    live["spec"]["template"] = inject(live["spec"]["template"], settings)
    return live


def copied(live: dict[str, Any]) -> dict[str, Any]:
    """Return the template of its copy."""
    template: dict[str, Any] = make_copy(live, of_services([USERS]), WANTED).deployment["spec"]["template"]
    return template


def readable(template: dict[str, Any]) -> dict[str, Any]:
    """Return a template with the configuration of its sidecar decoded: the order of keys means nothing."""
    spec = template["spec"]
    (sidecar,) = [
        one for one in (*spec.get("initContainers", ()), *spec["containers"]) if one["name"] == "detour-sidecar"
    ]
    at = sidecar["args"].index("--config-yaml") + 1
    sidecar["args"][at] = json.loads(sidecar["args"][at])
    node = sidecar["args"][at]["node"]
    assert (node["cluster"], node["metadata"]["deployment"]) == ("users", "pr-42")
    return template


@pytest.mark.parametrize("mode", [Mode.EXPLICIT, Mode.TRANSPARENT])
@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("tls", [True, False])
def test_the_copy_has_the_sidecar_that_injection_would_add(mode: Mode, native: bool, tls: bool) -> None:
    """In all modes: as if the baseline had no sidecar, and the copy got one."""
    settings = InjectionSettings(mode, native=native, tls=tls)
    live = injected(settings)
    before = deepcopy(live)
    made, fresh = copied(live), inject(copied(baseline()), settings)
    assert readable(made) == readable(fresh)
    assert live == before


@pytest.mark.parametrize(
    "args",
    [None, [], ["--config-path", "/x"], ["--config-yaml"], ["--config-yaml", "a: b"], ["--config-yaml", "[]"]],
)
def test_a_sidecar_that_cannot_be_read_is_refused(args: list[str] | None) -> None:
    """Else its calls would count as those of the baseline."""
    live = injected(InjectionSettings())
    sidecar = next(
        one for one in live["spec"]["template"]["spec"]["initContainers"] if one["name"] == "detour-sidecar"
    )
    sidecar["args"] = args
    with pytest.raises(
        CannotCopyError, match="sidecar has a configuration that Detour cannot read, so the copy would"
    ):
        copied(live)
