"""A scenario as YAML that people edit; it contains the version that the edit is based on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any, Final

from detour.mesh import parse_duration
from detour.overrides import PREFIX, Override, parse_words, read_entry, word_of

if TYPE_CHECKING:
    from detour.client import ScenarioOut

NEVER: Final = "never"

_KEYS: Final = ("version", "owner", "expires", "description", "overrides")
_HINT: Final = """\
# Save to create the next version of the scenario {name}. If you change nothing, nothing is saved.
# expires: a time, a duration from now (30d), or never.
"""


@dataclass(frozen=True, slots=True)
class Edited:
    """A scenario as a person wrote it, and the version that they edited."""

    version: int
    owner: str
    expires: datetime | None
    description: str
    overrides: dict[str, str]


def written(scenario: "ScenarioOut") -> str:
    """Write a scenario as text."""
    shown = {
        "version": scenario.version,
        "owner": scenario.owner,
        # In the API's notation, not YAML's: people paste it.
        "expires": scenario.model_dump(include={"expires"}, mode="json")["expires"] or NEVER,
        "description": scenario.description,
        "overrides": words(scenario.overrides),
    }
    return _HINT.format(name=scenario.name) + _yaml(shown)


def compared(scenario: "ScenarioOut") -> list[str]:
    """Return the lines of a scenario to compare with another version."""
    return written(scenario).removeprefix(_HINT.format(name=scenario.name)).splitlines()[1:]


def _yaml(shown: Mapping[str, Any]) -> str:
    import yaml  # noqa: PLC0415  most commands need no YAML

    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)


def read(text: str) -> Edited:
    """Parse the YAML of a scenario.

    Raises:
        ValueError: It is not a scenario; the message says where, and what was expected.
    """
    import yaml  # noqa: PLC0415  most commands need no YAML

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{line}this is not YAML: {getattr(error, 'problem', None) or error}") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        # PyYAML raises these for a value that does not match its tag, such as `!!bool x`.
        raise ValueError(f"this is not YAML: a value does not match its tag ({error})") from error
    if not isinstance(found, dict):
        raise ValueError(f"expected the keys {', '.join(_KEYS)}, as in owner: ana")  # noqa: TRY004  a person's text
    if unknown := [str(key) for key in found if key not in _KEYS]:
        raise ValueError(f"{unknown[0]}: unknown key; known keys are {', '.join(_KEYS)}")
    version = found.get("version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise ValueError("version: expected the version that you edited, such as 3")  # noqa: TRY004  the same
    return Edited(
        version,
        owner=_text(found, "owner"),
        expires=expiry(found.get("expires")),
        description=_text(found, "description"),
        overrides=overrides(_list(found)),
    )


def overrides(given: list[str]) -> dict[str, str]:
    """Return overrides in the API's notation.

    Raises:
        ValueError: A word is not an override.
    """
    return {one.key.removeprefix(PREFIX): one.value for one in parse_words(given)}


def words(found: Mapping[str, str]) -> list[str]:
    """Return overrides of the API in the command line's notation."""
    read = [(key, value, read_entry(PREFIX + key, value)) for key, value in found.items()]
    # A newer server may know kinds that this command does not.
    return [word_of(one) if isinstance(one, Override) else f"{key}={value}" for key, value, one in read]


def expiry(given: object) -> datetime | None:
    """Parse an expiry: `30d` from now, `never`, or a time, in UTC unless it has an offset.

    Raises:
        ValueError: It is something else.
    """
    if given is None or given == NEVER:
        return None
    if isinstance(given, str):
        return _moment(given)
    if isinstance(given, date):
        moment = given if isinstance(given, datetime) else datetime.combine(given, time())
        return _with_zone(moment)
    raise ValueError(_expected(given))


def _moment(text: str) -> datetime:
    try:
        return _with_zone(datetime.fromisoformat(text))
    except ValueError:
        pass
    try:
        return (datetime.now(UTC) + parse_duration(text)).replace(microsecond=0)
    except ValueError:
        raise ValueError(_expected(text)) from None


def _with_zone(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _expected(given: object) -> str:
    return f"expires: expected a time such as 2026-12-01T18:00:00Z, a duration such as 30d, or never, got {given!r}"


def _text(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key) or ""
    if not isinstance(value, str):
        raise ValueError(f"{key}: expected text, got {value!r}")  # noqa: TRY004  the same
    return value


def _list(found: Mapping[str, Any]) -> list[str]:
    value = found.get("overrides")
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError("overrides: expected a list of items such as - users=pr-42")
    return value
