"""Reports, for `detour curl`, whether overrides took effect, judging by the response headers.

Invariant: an override that had no effect is never reported as effective. Only the first hop can be judged:
`x-detour-served-by` names what answered there, not the services behind it.
"""

from collections.abc import Iterable, Iterator

import typer

from detour.cli.curl_run import Done, Headers
from detour.envoy.vocabulary import OVERRIDES_HEADER, SCENARIO_HEADER, SERVED_BY_HEADER
from detour.overrides import Overrides


def report(done: Done, overrides: Overrides, scenario: str, *, is_silent: bool) -> bool:
    """Report on standard error whether overrides took effect; return False if they did not.

    Args:
        done: The result of curl.
        overrides: The overrides that were sent as baggage.
        scenario: The scenario that was requested; empty for none.
        is_silent: Whether to report failures only.
    """
    if not done.answers:
        if done.status == 0 and not done.is_read:
            _say("cannot check whether the overrides took effect, because curl's -D and -v are both used")
        return True
    faults = list(dict.fromkeys(_faults(done.answers, overrides, scenario)))
    for one in faults:
        typer.secho(f"detour: {one}", fg=typer.colors.RED, err=True)
    if not (faults or is_silent):
        _report_served_by(done.answers)
    return not faults


def _faults(answers: tuple[Headers, ...], overrides: Overrides, scenario: str) -> Iterator[str]:
    for answer in answers:
        if reason := answer.get(OVERRIDES_HEADER):
            yield f"overrides did not take effect: {reason}"
        service, _, deployment = answer.get(SERVED_BY_HEADER, "").partition("@")
        wanted = overrides.route(service) if service else None
        # The request itself may have asked for the baseline (override.missing=baseline).
        if wanted and deployment != wanted and (deployment or not overrides.falls_back):
            by = f"{service}@{deployment}" if deployment else f"the baseline of {service}"
            yield f"{by} answered instead of {service}@{wanted}"
    if scenario and not any(answer.get(SCENARIO_HEADER) == scenario for answer in answers):
        yield (
            f"no response was in the scenario {scenario}: only edges apply scenarios. Inside the mesh, send its"
            f" overrides; detour scenario share {scenario} prints them"
        )


def _report_served_by(answers: Iterable[Headers]) -> None:
    known = dict.fromkeys(answer[SERVED_BY_HEADER] for answer in answers if SERVED_BY_HEADER in answer)
    if known:
        _say(f"answered by {', '.join(known)}")
    else:
        _say(f"no response has {SERVED_BY_HEADER}: did the request go through an edge or a sidecar?")


def _say(words: str) -> None:
    typer.echo(f"detour: {words}", err=True)
