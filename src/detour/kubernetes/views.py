"""Views that several parts of Detour read; those of one part are defined there."""

from detour.kubernetes.objects import KubernetesObject, Metadata, View


class Condition(View, frozen=True):
    """A condition of a Deployment or a pod (apps/v1, core/v1)."""

    type: str
    status: str = ""
    reason: str = ""
    message: str = ""


class DatedMetadata(Metadata, frozen=True):
    """The metadata, with the fields that order objects by age."""

    generation: int = 0
    creation_timestamp: str | None = None


class DeploymentSpec(View, frozen=True):
    """How many pods a Deployment is to have (apps/v1)."""

    replicas: int = 1


class DeploymentStatus(View, frozen=True):
    """How far a Deployment has come (apps/v1)."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    available_replicas: int = 0
    conditions: tuple[Condition, ...] | None = ()


class Deployment(KubernetesObject, frozen=True):
    """A Deployment (apps/v1)."""

    metadata: DatedMetadata = DatedMetadata()
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()

    @property
    def is_observed(self) -> bool:
        """Whether the status is that of the newest specification."""
        return self.status.observed_generation >= self.metadata.generation


class WebhookService(View, frozen=True):
    """The Service that a webhook calls (admissionregistration/v1, ServiceReference)."""

    namespace: str = ""


class ClientConfig(View, frozen=True):
    """How the API server calls a webhook (admissionregistration/v1, WebhookClientConfig)."""

    ca_bundle: str | None = None
    service: WebhookService | None = None


class Webhook(View, frozen=True):
    """One webhook (admissionregistration/v1, MutatingWebhook)."""

    name: str
    client_config: ClientConfig = ClientConfig()


class Webhooks(KubernetesObject, frozen=True):
    """A MutatingWebhookConfiguration (admissionregistration/v1)."""

    webhooks: tuple[Webhook, ...] | None = ()
