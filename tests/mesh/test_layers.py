"""Meshes laid over each other, all at once and change by change."""

from hypothesis import given
from hypothesis import strategies as st

from detour.mesh import (
    DeploymentApplied,
    DeploymentRemoved,
    KeysApplied,
    Mesh,
    OffloadedDeployment,
    Protocol,
    ScenariosApplied,
    Service,
    ServiceApplied,
    ServiceRemoved,
    Settings,
    SettingsApplied,
    apply,
    merge,
    merged_events,
)
from mesh.test_events import events, meshes


@given(meshes, st.lists(meshes, max_size=2))
def test_of_merged_meshes_the_earlier_wins(first, others):
    """A merged mesh has everything of all, each as the earliest mesh that knows it says."""
    merged = merge(first, *others)
    for kind in ("services", "deployments"):
        layers = [getattr(mesh, kind) for mesh in (first, *others)]
        expected = {key: next(layer[key] for layer in layers if key in layer) for layer in layers for key in layer}
        assert getattr(merged, kind) == expected
    assert merged.settings == first.settings


@given(st.lists(meshes, min_size=1, max_size=3), st.lists(events, max_size=5), st.data())
def test_events_of_one_mesh_make_the_merge_of_all(before, many, data):
    """Translated, they lead from the merge before to the merge after, whichever mesh they change."""
    changed = data.draw(st.integers(0, len(before) - 1))
    after = [apply(mesh, *many) if number == changed else mesh for number, mesh in enumerate(before)]
    assert apply(merge(*before), *merged_events(after, many)) == merge(*after)


def test_a_value_that_is_removed_on_top_comes_from_below():
    """And a change below what is on top changes nothing."""
    upper, lower = Service("users"), Service("users", protocol="http2")
    assert list(merged_events([Mesh(), Mesh.of([lower])], [ServiceRemoved("users")])) == [ServiceApplied(lower)]
    both = [Mesh.of([upper]), Mesh.of([lower])]
    assert list(merged_events(both, [ServiceApplied(lower)])) == [ServiceApplied(upper)]


def test_deployments_and_settings_are_translated_too() -> None:
    """What is on top counts; scenarios and keys are no mesh's."""
    upper, lower = (
        OffloadedDeployment("users", "pr-1", owner="ana"),
        OffloadedDeployment("users", "pr-1", owner="bo"),
    )
    first, second = Mesh.of([], [upper], Settings(edge_badge=True)), Mesh.of([Service("web")], [lower])
    changed = [
        DeploymentApplied(lower),
        DeploymentRemoved("users", "pr-1"),
        DeploymentRemoved("users", "pr-2"),
        SettingsApplied(Settings()),
        ScenariosApplied(None),
        KeysApplied(()),
        ServiceApplied(Service("web", protocol=Protocol.TCP)),
        ServiceRemoved("gone"),
    ]
    assert list(merged_events([first, second], changed)) == [
        DeploymentApplied(upper),
        DeploymentApplied(upper),
        DeploymentRemoved("users", "pr-2"),
        SettingsApplied(Settings(edge_badge=True)),
        ServiceApplied(Service("web")),
        ServiceRemoved("gone"),
    ]


def test_meshes_laid_over_each_other_are_one() -> None:
    """With the settings of the first one."""
    upper, lower = Service("users", protocol=Protocol.HTTP2), Service("users")
    made = merge(
        Mesh.of([upper], [], Settings(edge_badge=True)),
        Mesh.of([lower, Service("web")], [OffloadedDeployment("web", "pr-1")]),
        Mesh.of(
            [Service("web", protocol=Protocol.TCP), Service("db")], [OffloadedDeployment("web", "pr-1", owner="bo")]
        ),
    )
    assert dict(made.services) == {"users": upper, "web": Service("web"), "db": Service("db")}
    assert dict(made.deployments) == {("web", "pr-1"): OffloadedDeployment("web", "pr-1")}
    assert (made.settings, made.scenarios, made.keys) == (Settings(edge_badge=True), None, None)
