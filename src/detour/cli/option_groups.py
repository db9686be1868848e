"""Groups of options that several commands share: a frozen dataclass each, whose fields are the options."""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, get_type_hints


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Offer each field of a command's groups as an option of its own.

    Args:
        command: A function for Typer. A parameter whose type is a dataclass is a group: Typer sees its fields, with
            their defaults, in its place, and the function receives the group.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {
        one.name: one.annotation for one in signature.parameters.values() if is_dataclass(one.annotation)
    }

    @functools.wraps(command)
    def grouped(**values: Any) -> None:
        made = {
            name: group(**{one.name: values.pop(one.name) for one in fields(group)})
            for name, group in groups.items()
        }
        command(**made, **values)

    parameters = [two for one in signature.parameters.values() for two in _spread(one)]
    # Typer, like all of the standard library's inspection, believes this attribute.
    grouped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return grouped


def _spread(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    """Yield the parameters that a parameter stands for."""
    if not is_dataclass(parameter.annotation):
        yield parameter
        return
    hints = get_type_hints(parameter.annotation, include_extras=True)
    for one in fields(parameter.annotation):
        kind, annotation = inspect.Parameter.KEYWORD_ONLY, hints[one.name]
        yield inspect.Parameter(one.name, kind, default=_default(one), annotation=annotation)


def _default(one: "Field[Any]") -> Any:
    if one.default_factory is not MISSING:
        return one.default_factory()
    return inspect.Parameter.empty if one.default is MISSING else one.default
