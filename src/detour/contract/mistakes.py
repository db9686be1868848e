"""Values that a model does not accept, explained to people: by the server, and by a client before it sends them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

_SHOWN_MAX: Final = 10
"""Maximum number of mistakes that are explained."""


def explained(mistakes: Sequence[Mapping[str, Any]]) -> str:
    """Explain what is wrong with values.

    Args:
        mistakes: As pydantic's `ValidationError.errors()` has them, in the values' own places.
    """
    shown = [_explained(mistake) for mistake in mistakes[:_SHOWN_MAX]]
    if len(mistakes) > _SHOWN_MAX:
        shown.append(f"and {len(mistakes) - _SHOWN_MAX} more")
    return "; ".join(shown)


def _explained(mistake: Mapping[str, Any]) -> str:
    where = _place(mistake["loc"])
    match mistake["type"]:
        case "json_invalid":
            return f"the body is not JSON: {mistake['ctx']['error']} at character {mistake['loc'][-1]}"
        case "extra_forbidden":
            return f"{where}: there is no such field"
        case "missing":
            return f"{where}: is missing"
        case "value_error":
            # What is wrong with one of several fields says itself which.
            text = str(mistake["ctx"]["error"])
            return text if text.startswith("overrides.") else f"{where}: {text}"
        case "model_attributes_type":
            return f"{where}: send a JSON object, with the header content-type: application/json"
    return f"{where}: {mistake['msg']}"


def _place(parts: Iterable[str | int]) -> str:
    """Write a place as people do: `endpoints[0]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".") or "the body"
