"""The effect of overrides, by the headers of answers: what `detour curl` reports.

Invariant: an override that is known to have had no effect is never reported as effective. What an answer cannot
show is not judged: `x-detour-served-by` names the instance behind the first hop, and none of those behind it.
"""

from collections.abc import Iterable, Iterator

import typer

from detour.cli.curl_run import Done, Headers
from detour.envoy.vocabulary import OVERRIDES_HEADER, SCENARIO_HEADER, SERVED_BY_HEADER
from detour.overrides import Overrides


def report(done: Done, overrides: Overrides, scenario: str, *, is_silent: bool) -> bool:
    """Report the effect of overrides on standard error; return whether nothing speaks against it.

    Args:
        done: What curl did.
        overrides: What was sent as baggage.
        scenario: The scenario that was asked for; empty for none.
        is_silent: Whether to report only what is wrong.
    """
    if not done.answers:
        if done.status == 0 and not done.is_read:
            _say("curl writes its headers elsewhere (-D and -v): whether the overrides took effect was not read")
        return True
    faults = list(dict.fromkeys(_faults(done.answers, overrides, scenario)))
    for one in faults:
        typer.secho(f"detour: {one}", fg=typer.colors.RED, err=True)
    if not (faults or is_silent):
        _tell(done.answers)
    return not faults


def _faults(answers: tuple[Headers, ...], overrides: Overrides, scenario: str) -> Iterator[str]:
    for answer in answers:
        if said := answer.get(OVERRIDES_HEADER):
            yield f"overrides did not take effect: {said}"
        service, _, deployment = answer.get(SERVED_BY_HEADER, "").partition("@")
        wanted = overrides.route(service) if service else None
        # The request itself may have asked for the baseline (override.missing=baseline).
        if wanted and deployment != wanted and (deployment or not overrides.falls_back):
            by = f"{service}@{deployment}" if deployment else f"the baseline of {service}"
            yield f"{by} answered, and not {service}@{wanted}"
    if scenario and not any(answer.get(SCENARIO_HEADER) == scenario for answer in answers):
        yield (
            f"no answer was in the scenario {scenario}: edges alone know scenarios. Inside the mesh send its"
            f" overrides, which detour scenario share {scenario} prints"
        )


def _tell(answers: Iterable[Headers]) -> None:
    known = dict.fromkeys(answer[SERVED_BY_HEADER] for answer in answers if SERVED_BY_HEADER in answer)
    if known:
        _say(f"answered by {', '.join(known)}")
    else:
        _say(f"no answer has {SERVED_BY_HEADER}: did the request pass an edge or a sidecar?")


def _say(words: str) -> None:
    typer.echo(f"detour: {words}", err=True)
