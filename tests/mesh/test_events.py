"""The reducer, on meshes of every kind. There are few names, so that meshes overlap."""

from dataclasses import replace
from datetime import UTC, timedelta
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from detour.mesh import (
    Carrier,
    DeploymentApplied,
    DeploymentRemoved,
    Endpoint,
    KeysApplied,
    Mesh,
    OffloadedDeployment,
    Protocol,
    PublicKey,
    RetryPolicy,
    Scenarios,
    ScenariosApplied,
    Service,
    ServiceApplied,
    ServiceRemoved,
    Settings,
    SettingsApplied,
    apply,
    difference,
    touched,
    update,
)
from overrides_strategies import SETS

names = st.sampled_from(["users", "web", "pay"])
deployment_names = st.sampled_from(["pr-1", "pr-2"])
endpoints = st.builds(
    lambda address, port: Endpoint(str(address), port), st.ip_addresses(), st.integers(min_value=1, max_value=65535)
)
instances = st.lists(endpoints, max_size=2).map(tuple)
services = st.builds(
    Service,
    names,
    instances,
    st.sampled_from(Protocol),
    st.none() | st.just(timedelta(seconds=1)),
    st.none() | st.builds(RetryPolicy, st.integers(min_value=1, max_value=10)),
)
deployments = st.builds(
    OffloadedDeployment,
    names,
    deployment_names,
    instances,
    st.sampled_from(["", "ana"]),
    st.none() | st.datetimes(timezones=st.just(UTC)),
)
settings = st.builds(
    Settings,
    st.sampled_from([(Carrier.BAGGAGE,), tuple(Carrier)]),
    st.dictionaries(st.just("*"), names).map(MappingProxyType),
)
scenarios = st.none() | st.builds(
    Scenarios,
    st.dictionaries(st.sampled_from(["a", "b"]), SETS, max_size=2).map(MappingProxyType),
    st.dictionaries(st.just("c"), st.just("expired"), max_size=1).map(MappingProxyType),
)
keys = st.none() | st.lists(st.builds(PublicKey, st.sampled_from("ab"), st.just("x")), max_size=2).map(tuple)
meshes = st.builds(
    lambda mesh, known, signing: replace(mesh, scenarios=known, keys=signing),
    st.builds(Mesh.of, st.lists(services, max_size=4), st.lists(deployments, max_size=4), settings),
    scenarios,
    keys,
)
events = st.one_of(
    st.builds(ServiceApplied, services),
    st.builds(ServiceRemoved, names),
    st.builds(DeploymentApplied, deployments),
    st.builds(DeploymentRemoved, names, deployment_names),
    st.builds(SettingsApplied, settings),
    st.builds(ScenariosApplied, scenarios),
    st.builds(KeysApplied, keys),
)


@given(meshes, meshes)
def test_difference_leads_from_one_mesh_to_the_other(before, after):
    """Applying the difference of two meshes to the first gives the second."""
    assert apply(before, *difference(before, after)) == after


@given(meshes)
def test_a_mesh_does_not_differ_from_itself(mesh):
    """Equal meshes need no events, so nobody is told anything."""
    assert difference(mesh, mesh) == ()


@given(meshes, meshes)
def test_difference_says_no_more_than_needed(before, after):
    """Every event of a difference changes something."""
    for event in difference(before, after):
        assert apply(before, event) != before


@given(meshes, events)
def test_an_event_applied_twice_is_applied_once(mesh, event):
    """A source may tell the same thing again."""
    once = apply(mesh, event)
    assert apply(once, event) == once


@given(meshes, st.lists(events, max_size=5))
def test_events_are_applied_in_order_and_leave_the_old_mesh_alone(mesh, many):
    """Applying a list is applying each in turn, and a mesh that somebody holds never changes."""
    held = Mesh(dict(mesh.services), dict(mesh.deployments), mesh.settings, mesh.scenarios, mesh.keys)
    step_by_step = mesh
    for event in many:
        step_by_step = apply(step_by_step, event)
    assert apply(mesh, *many) == step_by_step
    assert mesh == held


@given(meshes)
def test_removing_the_absent_changes_nothing(mesh):
    """Removals of what was never there, or is already gone, are fine."""
    gone = (ServiceRemoved("nobody"), DeploymentRemoved("users", "nothing"), DeploymentRemoved("nobody", "pr-1"))
    assert apply(mesh, *gone) == mesh


def test_a_removed_service_keeps_its_deployments():
    """A service that comes back finds its offloaded deployments registered."""
    mesh = Mesh.of([Service("users")], [OffloadedDeployment("users", "pr-1")])
    after = apply(mesh, ServiceRemoved("users"))
    assert not after.services
    assert after.deployment("users", "pr-1") is mesh.deployment("users", "pr-1")


@given(meshes, meshes)
def test_touched_names_every_service_that_differs(before, after):
    """Whoever looks only at touched services misses no change."""
    named = touched(difference(before, after))
    for name in {"users", "web", "pay"} - named:
        assert before.services.get(name) == after.services.get(name)
        for deployment in ("pr-1", "pr-2"):
            assert before.deployment(name, deployment) == after.deployment(name, deployment)


@given(services, deployments, settings)
def test_touched_names_the_service_of_each_event(service, deployment, new_settings):
    """An event touches the service that it is about; settings touch none."""
    assert touched([ServiceApplied(service)]) == {service.name}
    assert touched([ServiceRemoved("web")]) == {"web"}
    assert touched([DeploymentApplied(deployment)]) == {deployment.service}
    assert touched([DeploymentRemoved("pay", "pr-1")]) == {"pay"}
    assert touched([SettingsApplied(new_settings)]) == frozenset()


@given(meshes, st.lists(events, max_size=6))
def test_the_events_of_an_update_are_the_difference(mesh, many):
    """Derived from the events alone, they are what a comparison of both meshes finds."""
    after, effective = update(mesh, many)
    assert after == apply(mesh, *many)
    assert set(map(repr, effective)) == set(map(repr, difference(mesh, after)))
    assert len(effective) == len(difference(mesh, after))
    assert (after is mesh) == (effective == ())


def test_removals_come_in_order_of_name():
    """The same difference is told in the same order by every process."""
    before = Mesh.of(
        map(Service, ("web", "users", "pay")), [OffloadedDeployment("web", "b"), OffloadedDeployment("web", "a")]
    )
    assert difference(before, Mesh()) == (
        DeploymentRemoved("web", "a"),
        DeploymentRemoved("web", "b"),
        ServiceRemoved("pay"),
        ServiceRemoved("users"),
        ServiceRemoved("web"),
    )


def test_a_difference_has_all_that_changed_and_nothing_else():
    """Values, what is new or other, then what is gone: deployments before the services that they are of."""
    keys = (PublicKey("a", "x"),)
    before = Mesh.of(
        [Service("web"), Service("users"), Service("pay")],
        [
            OffloadedDeployment("web", "pr-1"),
            OffloadedDeployment("users", "pr-2"),
            OffloadedDeployment("pay", "pr-3"),
        ],
    )
    users, maps = Service("users", (Endpoint("::1", 80),)), Service("maps")
    changed, added = OffloadedDeployment("users", "pr-2", owner="ana"), OffloadedDeployment("maps", "pr-4")
    after = replace(
        Mesh.of(
            [Service("pay"), users, maps],
            [changed, added, OffloadedDeployment("pay", "pr-3")],
            Settings(edge_badge=True),
        ),
        scenarios=Scenarios(),
        keys=keys,
    )
    assert difference(before, after) == (
        SettingsApplied(Settings(edge_badge=True)),
        ScenariosApplied(Scenarios()),
        KeysApplied(keys),
        ServiceApplied(users),
        ServiceApplied(maps),
        DeploymentApplied(changed),
        DeploymentApplied(added),
        DeploymentRemoved("web", "pr-1"),
        ServiceRemoved("web"),
    )
    assert touched(difference(before, after)) == {"users", "maps", "web"}
    assert touched([ScenariosApplied(None), KeysApplied(None)]) == frozenset()


def test_an_update_says_last_what_was_said_last():
    """Of several events of one thing; what comes and goes again leaves nothing."""
    mesh = Mesh.of([Service("web")], [OffloadedDeployment("web", "pr-1")])
    tcp = Service("web", protocol=Protocol.TCP)
    after, effective = update(
        mesh,
        [
            ServiceApplied(Service("users")),
            ServiceApplied(tcp),
            DeploymentRemoved("web", "pr-1"),
            KeysApplied(()),
            ServiceRemoved("users"),
            DeploymentApplied(OffloadedDeployment("web", "pr-1", owner="bo")),
            KeysApplied(None),
        ],
    )
    assert effective == (ServiceApplied(tcp), DeploymentApplied(OffloadedDeployment("web", "pr-1", owner="bo")))
    assert dict(after.services) == {"web": tcp}
    assert after.keys is None


def test_what_does_not_change_is_not_copied():
    """A mesh of 20,000 services costs nothing where its settings change; a mapping that does is frozen."""
    mesh = Mesh.of([Service("web")], [OffloadedDeployment("web", "pr-1")])
    after = apply(mesh, SettingsApplied(Settings(edge_badge=True)))
    assert after.services is mesh.services
    assert after.deployments is mesh.deployments
    one = apply(mesh, ServiceApplied(Service("users")))
    assert one.deployments is mesh.deployments
    assert isinstance(one.services, MappingProxyType)
    plain = apply(Mesh({"web": Service("web")}), ServiceApplied(Service("users")), ServiceRemoved("web"))
    assert isinstance(plain.services, MappingProxyType)
    assert dict(plain.services) == {"users": Service("users")}
