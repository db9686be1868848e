"""The admission webhook's answers."""

import base64
import json
import logging

import pytest

from detour.injection import InjectionSettings, Mode, inject, review, trial
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
    answer = review(asked(POD), InjectionSettings())
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response = answer["response"]
    assert (response["uid"], response["allowed"], response["patchType"]) == ("705ab4f5", True, "JSONPatch")
    assert applied(POD, json.loads(base64.b64decode(response["patch"]))) == inject(POD, InjectionSettings())


def test_what_has_a_sidecar_has_no_patch() -> None:
    """Nor a word."""
    assert review(asked(inject(POD, InjectionSettings())), InjectionSettings())["response"] == {
        "uid": "705ab4f5",
        "allowed": True,
    }


def test_what_is_to_have_none_has_no_patch() -> None:
    """A warning names the reason."""
    response = review(asked({**POD, "metadata": {"labels": {"detour.dev/inject": "false"}}}), InjectionSettings())[
        "response"
    ]
    assert "patch" not in response
    assert response["warnings"] == ["Detour: this pod gets no sidecar: it is labelled detour.dev/inject=false"]


def test_only_creation_is_patched() -> None:
    """A running pod's containers can't be changed."""
    assert "patch" not in review(asked(POD, operation="UPDATE"), InjectionSettings())["response"]


def test_a_pod_whose_mode_depends_on_the_cluster_is_tried() -> None:
    """With its sidecar, without an owner, and with the label that makes this webhook ignore it; no other pod is."""
    owned = {**POD, "metadata": {**POD["metadata"], "ownerReferences": [{"name": "users-1"}], "uid": "7"}}
    tried = trial(asked(owned), InjectionSettings())
    assert tried is not None
    assert tried["metadata"].keys() == {"annotations", "generateName", "labels", "namespace"}
    assert (tried["metadata"]["namespace"], tried["metadata"]["labels"]) == ("shop", {"detour.dev/inject": "false"})
    assert tried["spec"] == inject(owned, InjectionSettings())["spec"]
    assert trial(asked(POD), InjectionSettings(Mode.EXPLICIT)) is None
    assert (
        trial(asked({**POD, "metadata": {"annotations": {"detour.dev/mode": "explicit"}}}), InjectionSettings())
        is None
    )
    assert trial(asked(POD, operation="UPDATE"), InjectionSettings()) is None
    assert trial(asked({"metadata": {}, "spec": {"containers": 7}}), InjectionSettings()) is None
    assert trial({}, InjectionSettings()) is None


def test_warnings_reach_the_creator_of_the_pod() -> None:
    """Short enough to be passed on."""
    pod = {**POD, "metadata": {"annotations": {"detour.dev/mode": "x" * 1000}}}
    response = review(asked(pod), InjectionSettings(Mode.EXPLICIT))["response"]
    assert "patch" in response
    assert [len(warning) for warning in response["warnings"]] == [256]


@pytest.mark.parametrize("spec", [{"containers": 7}, {"containers": ["a"]}, "a", {"initContainers": {"a": 1}}])
def test_a_pod_is_let_in_whatever_goes_wrong(spec: object, caplog: pytest.LogCaptureFixture) -> None:
    """Without a sidecar; its owner is warned, and the server logs what happened."""
    caplog.set_level(logging.ERROR)
    response = review(asked({"metadata": {}, "spec": spec}), InjectionSettings())["response"]
    assert response["allowed"] is True
    assert "patch" not in response
    assert "this pod gets no sidecar" in response["warnings"][0]
    assert "no sidecar for a pod of shop" in caplog.text


@pytest.mark.parametrize("body", [{}, {"request": {}}, {"request": {"uid": 7}}, [], None])
def test_what_is_no_review_is_refused(body: object) -> None:
    """It could not be answered."""
    with pytest.raises(ValueError, match="not an AdmissionReview"):
        review(body, InjectionSettings())


def test_an_answer_in_full() -> None:
    """Warnings before the patch; a request without an operation is a creation."""
    body = asked({**POD, "metadata": {"annotations": {"detour.dev/mode": "magic"}}})
    del body["request"]["operation"]
    answer = review(body, InjectionSettings(Mode.EXPLICIT))
    response = answer["response"]
    assert response.pop("patch")
    assert answer == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {
            "uid": "705ab4f5",
            "allowed": True,
            "warnings": [
                "Detour: detour.dev/mode is 'magic', not one of explicit, transparent, auto: explicit it is"
            ],
            "patchType": "JSONPatch",
        },
    }


def test_warnings_come_before_the_reason_for_no_sidecar() -> None:
    """A pod may have mistakes and have no sidecar."""
    pod = {"metadata": {"labels": {"detour.dev/inject": "false"}}, "spec": {"hostNetwork": True}}
    assert review(asked(pod), InjectionSettings())["response"] == {
        "uid": "705ab4f5",
        "allowed": True,
        "warnings": ["Detour: this pod gets no sidecar: it is labelled detour.dev/inject=false"],
    }


@pytest.mark.parametrize(
    "request_", [{"operation": "UPDATE"}, {"object": None}, {"object": []}, {"object": {"metadata": {}}}]
)
def test_what_creates_no_pod_is_let_in(request_: dict) -> None:
    """Without a warning."""
    asked_for = asked(POD, **request_)
    assert review(asked_for, InjectionSettings())["response"] == {"uid": "705ab4f5", "allowed": True}
    assert trial(asked_for, InjectionSettings()) is None


def test_what_goes_wrong_is_quoted(caplog: pytest.LogCaptureFixture) -> None:
    """To the pod's creator in one line; the log has the traceback."""
    response = review(asked({"metadata": {}, "spec": {"containers": 7}}), InjectionSettings())["response"]
    (warning,) = response["warnings"]
    assert warning == (
        "Detour: this pod gets no sidecar, because of an error in Detour: TypeError('Value after * must be an"
        " iterable, not int')"
    )
    assert (response["uid"], response["allowed"]) == ("705ab4f5", True)
    (record,) = caplog.records
    assert record.exc_info
    assert record.getMessage() == "no sidecar for a pod of shop"


@pytest.mark.parametrize("body", [{}, {"request": {}}, {"request": {"uid": 7}}, {"request": []}, [], None])
def test_the_refusal_of_what_is_no_review(body: object) -> None:
    """In full; nothing is tried for it."""
    with pytest.raises(ValueError) as raised:
        review(body, InjectionSettings())
    assert str(raised.value) == "this is not an AdmissionReview: request.uid is missing"
    assert trial(body, InjectionSettings()) is None


def test_the_pod_of_a_dry_run_in_full() -> None:
    """It keeps its name and its labels, in the namespace of the request; in no mode but auto is one needed."""
    given = {
        "metadata": {"name": "users-1", "generateName": "users-", "labels": {"app": "users"}, "uid": "7"},
        "spec": {"containers": [{"name": "users"}]},
    }
    body = asked(given)
    assert trial(body, InjectionSettings()) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "users-1",
            "generateName": "users-",
            "namespace": "shop",
            "labels": {"app": "users", "detour.dev/inject": "false"},
            "annotations": inject(given, InjectionSettings())["metadata"]["annotations"],
        },
        "spec": inject(given, InjectionSettings())["spec"],
    }
    del body["request"]["namespace"]
    bare = trial({**body, "request": {**body["request"], "object": {"spec": {}}}}, InjectionSettings(tls=False))
    assert bare is not None
    assert bare["metadata"] == {"namespace": "", "labels": {"detour.dev/inject": "false"}}
    for mode in (Mode.EXPLICIT, Mode.TRANSPARENT):
        assert trial(body, InjectionSettings(mode)) is None
    assert trial(asked(inject(given, InjectionSettings())), InjectionSettings()) is None
