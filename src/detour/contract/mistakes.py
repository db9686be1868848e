"""Explanations of invalid values: for responses of the server, and for clients that check before they send."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

_SHOWN_MAX: Final = 10
"""Maximum number of mistakes in an explanation."""


def explained(mistakes: Sequence[Mapping[str, Any]]) -> str:
    """Explain why values are invalid.

    Args:
        mistakes: The result of pydantic's `ValidationError.errors()`.
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
            return f"{where}: unknown field"
        case "missing":
            return f"{where}: is missing"
        case "value_error":
            # Errors about one of several overrides already name it.
            text = str(mistake["ctx"]["error"])
            return text if text.startswith("overrides.") else f"{where}: {text}"
        case "model_attributes_type":
            return f"{where}: send a JSON object, with the header content-type: application/json"
    return f"{where}: {mistake['msg']}"


def _place(parts: Iterable[str | int]) -> str:
    """Return the path of a value as people write it: `endpoints[0]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".") or "the body"
