"""The admission webhook's answers."""

import base64
import json
import logging

import pytest

from detour.injection import Mode, Settings, inject, review, trial
from injection.test_patch import applied

POD = {"metadata": {"generateName": "users-1-"}, "spec": {"containers": [{"name": "users"}]}}


def asked(pod: object, **request: object) -> dict:
    """Return an AdmissionReview as an API server sends it."""
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {"uid": "705ab4f5", "operation": "CREATE", "namespace": "shop", "object": pod, **request},
    }


def test_a_pod_is_answered_with_a_patch() -> None:
    """That gives it its sidecar; the answer carries the request's uid."""
    answer = review(asked(POD), Settings())
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response = answer["response"]
    assert (response["uid"], response["allowed"], response["patchType"]) == ("705ab4f5", True, "JSONPatch")
    assert applied(POD, json.loads(base64.b64decode(response["patch"]))) == inject(POD, Settings())


def test_what_has_a_sidecar_has_no_patch() -> None:
    """Nor a word."""
    assert review(asked(inject(POD, Settings())), Settings())["response"] == {"uid": "705ab4f5", "allowed": True}


def test_what_is_to_have_none_has_no_patch() -> None:
    """A warning names the reason."""
    response = review(asked({**POD, "metadata": {"labels": {"detour.dev/inject": "false"}}}), Settings())[
        "response"
    ]
    assert "patch" not in response
    assert response["warnings"] == ["Detour: this pod gets no sidecar: it is labelled detour.dev/inject=false"]


def test_only_creation_is_patched() -> None:
    """A running pod's containers can't be changed."""
    assert "patch" not in review(asked(POD, operation="UPDATE"), Settings())["response"]


def test_a_pod_whose_mode_depends_on_the_cluster_is_tried() -> None:
    """With its sidecar, without an owner, and with the label that makes this webhook ignore it; no other pod is."""
    owned = {**POD, "metadata": {**POD["metadata"], "ownerReferences": [{"name": "users-1"}], "uid": "7"}}
    tried = trial(asked(owned), Settings())
    assert tried is not None
    assert tried["metadata"].keys() == {"annotations", "generateName", "labels", "namespace"}
    assert (tried["metadata"]["namespace"], tried["metadata"]["labels"]) == ("shop", {"detour.dev/inject": "false"})
    assert tried["spec"] == inject(owned, Settings())["spec"]
    assert trial(asked(POD), Settings(Mode.EXPLICIT)) is None
    assert trial(asked({**POD, "metadata": {"annotations": {"detour.dev/mode": "explicit"}}}), Settings()) is None
    assert trial(asked(POD, operation="UPDATE"), Settings()) is None
    assert trial(asked({"metadata": {}, "spec": {"containers": 7}}), Settings()) is None
    assert trial({}, Settings()) is None


def test_warnings_reach_the_creator_of_the_pod() -> None:
    """Short enough to be passed on."""
    pod = {**POD, "metadata": {"annotations": {"detour.dev/mode": "x" * 1000}}}
    response = review(asked(pod), Settings(Mode.EXPLICIT))["response"]
    assert "patch" in response
    assert [len(warning) for warning in response["warnings"]] == [256]


@pytest.mark.parametrize("spec", [{"containers": 7}, {"containers": ["a"]}, "a", {"initContainers": {"a": 1}}])
def test_a_pod_is_let_in_whatever_goes_wrong(spec: object, caplog: pytest.LogCaptureFixture) -> None:
    """Without a sidecar; its owner is warned, and the server logs what happened."""
    caplog.set_level(logging.ERROR)
    response = review(asked({"metadata": {}, "spec": spec}), Settings())["response"]
    assert response["allowed"] is True
    assert "patch" not in response
    assert "this pod gets no sidecar" in response["warnings"][0]
    assert "no sidecar for a pod of shop" in caplog.text


@pytest.mark.parametrize("body", [{}, {"request": {}}, {"request": {"uid": 7}}, [], None])
def test_what_is_no_review_is_refused(body: object) -> None:
    """It could not be answered."""
    with pytest.raises(ValueError, match="not an AdmissionReview"):
        review(body, Settings())
