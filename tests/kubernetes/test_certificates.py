"""Certificates that the leader keeps in a real cluster."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from lightkube import AsyncClient
from lightkube.models.admissionregistration_v1 import MutatingWebhook, ServiceReference, WebhookClientConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.models.rbac_v1 import PolicyRule, RoleRef, Subject
from lightkube.resources.admissionregistration_v1 import MutatingWebhookConfiguration
from lightkube.resources.core_v1 import Secret, ServiceAccount
from lightkube.resources.rbac_authorization_v1 import Role, RoleBinding

from detour.certificates.identity import sidecar
from detour.certificates.keeper import CertificateKeeper, Installation
from detour.certificates.material import ServerTls, first_material, follow
from detour.kubernetes.api import Api
from detour.kubernetes.config import cluster_config
from kubernetes.cluster import Cluster

RULES = [PolicyRule(apiGroups=[""], resources=["secrets"], verbs=["get", "create", "patch"])]
DEADLINE = 20


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[AsyncClient]:
    """Connect as the admin."""
    client = cluster.async_client()
    yield client
    await client.close()


async def held(client: AsyncClient, namespace: str, name: str = "detour-sidecar-tls") -> dict[str, bytes]:
    """Read a Secret."""
    found = await client.get(Secret, name, namespace=namespace)
    return {key: base64.b64decode(value) for key, value in found.data.items()}


def certificate(data: dict[str, bytes]) -> x509.Certificate:
    """Parse the certificate of a Secret."""
    return x509.load_pem_x509_certificate(data["tls.crt"])


async def test_the_keeper_makes_everything_and_then_nothing_more(api, client, cluster, namespace):
    """The authority, the server's certificate and each namespace's; a second look finds nothing to do."""
    with cluster.namespace() as shop:
        keeper = CertificateKeeper(api, Installation(namespace), lambda: {shop})
        await keeper.reconcile()
        assert keeper.problems == []
        mesh, server = await held(client, shop), await held(client, namespace, "detour-server-tls")
        authority = await held(client, namespace, "detour-ca")
        assert mesh["ca.crt"] == server["ca.crt"] == authority["tls.crt"]
        names = certificate(mesh).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names == sidecar(shop).alternatives
        certificate(mesh).verify_directly_issued_by(certificate(authority))
        await keeper.reconcile()
        assert await held(client, shop) == mesh
        assert await held(client, namespace, "detour-server-tls") == server
        assert await held(client, namespace, "detour-ca") == authority


async def test_what_is_edited_by_hand_is_put_right(api, client, namespace, caplog):
    """And logged; labels and keys of others stay."""
    keeper = CertificateKeeper(api, Installation(namespace), lambda: {namespace})
    await keeper.reconcile()
    patch = {"metadata": {"labels": {"team": "blue"}}, "data": {"tls.key": "eA==", "note": "eA=="}}
    await client.patch(Secret, "detour-sidecar-tls", patch, namespace=namespace)
    caplog.clear()
    caplog.set_level(logging.WARNING)
    await keeper.reconcile()
    (message,) = caplog.messages
    assert message == (
        f"renewed Secret detour-sidecar-tls of namespace {namespace}, because its key cannot be read"
    )
    found = await client.get(Secret, "detour-sidecar-tls", namespace=namespace)
    assert found.metadata.labels["team"] == "blue"
    assert found.data["note"] == "eA=="
    assert found.type == "kubernetes.io/tls"


async def test_an_authority_changes_without_a_word_in_between(api, client, namespace):
    """Made a year before the end of the old one, signing a day later, alone when all is signed anew."""
    shift = timedelta()
    keeper = CertificateKeeper(api, Installation(namespace), lambda: {namespace}, lambda: datetime.now(UTC) + shift)
    await keeper.reconcile()
    old = await held(client, namespace, "detour-ca")
    shift = timedelta(days=2 * 365 + 1)
    await keeper.reconcile()
    new, leaf = await held(client, namespace, "detour-ca"), await held(client, namespace)
    assert new["previous.crt"] == old["tls.crt"] != new["tls.crt"]
    assert leaf["ca.crt"] == new["tls.crt"] + old["tls.crt"]
    certificate(leaf).verify_directly_issued_by(certificate(old))
    shift += timedelta(days=6)
    await keeper.reconcile()
    certificate(await held(client, namespace)).verify_directly_issued_by(certificate(new))
    shift += timedelta(days=3)
    await keeper.reconcile()
    assert set(await held(client, namespace, "detour-ca")) == {"tls.crt", "tls.key"}
    assert (await held(client, namespace))["ca.crt"] == new["tls.crt"]


async def test_two_keepers_at_once_make_one_authority(client, cluster, namespace):
    """The slower one takes what the quicker one made."""
    config = cluster_config(str(cluster.kubeconfig))
    apis = [Api(config) for _ in range(4)]
    keepers = [CertificateKeeper(api, Installation(namespace), lambda: {namespace}) for api in apis]
    await asyncio.gather(*(keeper.reconcile() for keeper in keepers))
    assert [keeper.problems for keeper in keepers] == [[]] * 4
    authority = await held(client, namespace, "detour-ca")
    for name in ("detour-server-tls", "detour-sidecar-tls"):
        assert (await held(client, namespace, name))["ca.crt"] == authority["tls.crt"]
    for api in apis:
        await api.close()


async def service_account(client: AsyncClient, home: str, *allowed: str) -> None:
    """Make an account of namespace `home` that may write Secrets in these namespaces."""
    await client.create(ServiceAccount(metadata=ObjectMeta(name="detour", namespace=home)))
    subject = Subject(kind="ServiceAccount", name="detour", namespace=home)
    role = RoleRef(apiGroup="rbac.authorization.k8s.io", kind="Role", name="detour")
    for namespace in allowed:
        metadata = ObjectMeta(name="detour", namespace=namespace)
        await client.create(Role(metadata=metadata, rules=RULES))
        await client.create(RoleBinding(metadata=metadata, roleRef=role, subjects=[subject]))


async def test_a_namespace_without_permission_is_reported_and_holds_up_no_other(client, cluster, namespace, caplog):
    """Once, with what to do; and once more only when something else is wrong."""
    with cluster.namespace() as open_one, cluster.namespace() as closed:
        await service_account(client, namespace, namespace, open_one)
        own = Api(cluster_config(str(cluster.kubeconfig_for(namespace, "detour"))))
        keeper = CertificateKeeper(own, Installation(namespace), lambda: {closed, open_one})
        await keeper.reconcile()
        await keeper.reconcile()
        await own.close()
        assert certificate(await held(client, open_one))
        where = f"Secret detour-sidecar-tls of namespace {closed} cannot be updated: "
        (problem,) = [one for one in keeper.problems if closed in one]
        assert problem.startswith(where)
        assert problem.endswith("grant Detour's service account get, create and patch on Secrets there")
        assert len([one for one in caplog.messages if one == problem]) == 1


async def test_a_secret_that_cannot_be_changed_is_reported(api, client, namespace):
    """It is immutable; once it is deleted, the keeper makes a new one."""
    data = {"tls.crt": "", "tls.key": ""}
    metadata = ObjectMeta(name="detour-sidecar-tls", namespace=namespace)
    await client.create(Secret(metadata=metadata, data=data, type="kubernetes.io/tls", immutable=True))
    keeper = CertificateKeeper(api, Installation(namespace), lambda: {namespace})
    await keeper.reconcile()
    (problem,) = keeper.problems
    assert problem.endswith("if it is immutable or of another type, delete it: Detour will create it again")
    await client.delete(Secret, "detour-sidecar-tls", namespace=namespace)
    await keeper.reconcile()
    assert keeper.problems == []


async def test_a_namespace_that_is_not_there_is_nobodys_problem(api, namespace):
    """It was removed a moment ago."""
    keeper = CertificateKeeper(api, Installation(namespace), lambda: {"gone"})
    await keeper.reconcile()
    assert keeper.problems == []


@pytest.fixture
async def webhooks(client, namespace):
    """Install two webhooks that match nothing."""

    def webhook(name: str) -> MutatingWebhook:
        service = ServiceReference(name="detour-webhook", namespace=namespace)
        return MutatingWebhook(
            name=f"{name}.detour.dev",
            admissionReviewVersions=["v1"],
            clientConfig=WebhookClientConfig(service=service),
            sideEffects="None",
            timeoutSeconds=7,
        )

    made = [webhook("pods"), webhook("others")]
    await client.create(MutatingWebhookConfiguration(metadata=ObjectMeta(name="detour"), webhooks=made))
    yield
    await client.delete(MutatingWebhookConfiguration, "detour")


async def test_the_api_server_trusts_the_webhook(api, client, namespace, webhooks):
    """Every webhook of the configuration; nothing else in it changes."""
    keeper = CertificateKeeper(api, Installation(namespace), set)
    await keeper.reconcile()
    assert keeper.problems == []
    found = await client.get(MutatingWebhookConfiguration, "detour")
    authority = await held(client, namespace, "detour-ca")
    assert [base64.b64decode(one.clientConfig.caBundle) for one in found.webhooks] == [authority["tls.crt"]] * 2
    assert [one.timeoutSeconds for one in found.webhooks] == [7, 7]
    assert found.webhooks[0].clientConfig.service.name == "detour-webhook"
    version = found.metadata.resourceVersion
    await keeper.reconcile()
    assert (await client.get(MutatingWebhookConfiguration, "detour")).metadata.resourceVersion == version


async def until(condition) -> None:
    """Wait for something to be so."""
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.02)


async def test_every_replica_has_what_the_leader_made(api, client, namespace, monkeypatch, caplog):
    """As soon as there is something, and again when it is another; what is damaged changes nothing."""
    from detour.certificates import material

    monkeypatch.setattr(material, "_PERIOD_SECONDS", 0.05)
    caplog.set_level(logging.INFO)
    secret = "detour-server-tls"
    waiting = asyncio.create_task(first_material(api, namespace, secret))
    await until(lambda: f"Secret {secret} of namespace {namespace} does not exist" in caplog.text)
    keeper = CertificateKeeper(api, Installation(namespace), set)
    await keeper.reconcile()
    serving = ServerTls(first := await waiting)
    following = asyncio.create_task(follow(api, namespace, secret, serving))
    await client.patch(Secret, secret, {"data": {"tls.key": "eA=="}}, namespace=namespace)
    await until(lambda: "the server keeps its current certificate" in caplog.text)
    assert serving.material == first
    await keeper.reconcile()
    await until(lambda: serving.material != first)
    assert serving.material.certificate == (await held(client, namespace, secret))["tls.crt"]
    following.cancel()
    await asyncio.wait({following})


async def test_the_keeper_wakes_for_a_new_namespace(api, cluster, namespace):
    """It does not wait for its period."""
    namespaces: set[str] = set()
    keeper = CertificateKeeper(api, Installation(namespace), lambda: namespaces)
    running = asyncio.create_task(keeper.run())
    with cluster.namespace() as shop:
        async with asyncio.timeout(DEADLINE):
            await first_material(api, namespace, "detour-server-tls")
        namespaces.add(shop)
        keeper.wake()
        async with asyncio.timeout(DEADLINE):
            await first_material(api, shop, "detour-sidecar-tls")
    running.cancel()
    await asyncio.wait({running})
