"""Puts a changed function into a process that has imported the module: its code object takes the other's place.

Invariant: what can't be put into place so, without being imported anew, is said to be so.
"""

import functools
import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, FunctionType

Key = tuple[str, str, int]
"""A function, by its file, its qualified name and its first line."""


def key_of(code: CodeType) -> Key:
    """Return what a function is known by."""
    return code.co_filename, code.co_qualname, code.co_firstlineno


@dataclass(frozen=True, slots=True)
class Swap:
    """What a mutant changes in a module that has been imported.

    Args:
        codes: New code by the function that it is for.
        has_more: Whether there is more, so that the module must be imported anew.
    """

    codes: Mapping[Key, CodeType] = field(default_factory=dict)
    has_more: bool = False

    @property
    def is_nothing(self) -> bool:
        """Whether Python sees no difference."""
        return not (self.codes or self.has_more)


def swap_of(before: CodeType, after: CodeType) -> Swap:
    """Compare a module's code with that of a mutant."""
    old, new = list(_outermost(before)), list(_outermost(after))
    if [one.co_qualname for one in old] != [one.co_qualname for one in new]:
        return Swap(has_more=True)
    changed = [(was, is_now) for was, is_now in zip(old, new, strict=True) if _essence(was) != _essence(is_now)]
    is_elsewhere = _frame(before) != _frame(after)
    if is_elsewhere or any(was.co_freevars != is_now.co_freevars for was, is_now in changed):
        return Swap(has_more=True)
    return Swap({key_of(was): is_now for was, is_now in changed})


class Loaded:
    """The functions that a process has imported, found once, and the caches that they have filled."""

    def __init__(self) -> None:
        objects = gc.get_objects()
        self._functions: dict[Key, list[FunctionType]] = {}
        for one in objects:
            if isinstance(one, FunctionType):
                self._functions.setdefault(key_of(one.__code__), []).append(one)
        self._caches = [one for one in objects if isinstance(one, functools._lru_cache_wrapper)]  # noqa: SLF001

    def has(self, swap: Swap) -> bool:
        """Say whether all that a mutant changes is there."""
        return all(key in self._functions for key in swap.codes)

    def put(self, swap: Swap) -> None:
        """Change the functions."""
        for key, code in swap.codes.items():
            for function in self._functions[key]:
                function.__code__ = code
        self.clear_caches()

    def clear_caches(self) -> None:
        """Forget what functions returned before."""
        for cache in self._caches:
            cache.cache_clear()


def _nested(code: CodeType) -> Iterator[CodeType]:
    return (one for one in code.co_consts if isinstance(one, CodeType))


def _outermost(code: CodeType) -> Iterator[CodeType]:
    """Yield the functions of a module and of its classes; what is inside of them comes with them."""
    for one in _nested(code):
        if _is_class(one):
            yield from _outermost(one)
        else:
            yield one


def _is_class(code: CodeType) -> bool:
    return "__module__" in code.co_names and "__qualname__" in code.co_names and code.co_argcount == 0


def _essence(code: CodeType) -> Sequence[object]:
    """Return what a function does, wherever it stands."""
    constants = tuple(
        _essence(one) if isinstance(one, CodeType) else (type(one), repr(one)) for one in code.co_consts
    )
    return (
        code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_flags,
        code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount, code.co_exceptiontable,
    )  # fmt: skip


def _frame(code: CodeType) -> Sequence[object]:
    """Return what a module or class does around its functions."""
    constants = tuple(
        (_frame(one) if _is_class(one) else one.co_qualname)
        if isinstance(one, CodeType)
        else (type(one), repr(one))
        for one in code.co_consts
    )  # fmt: skip
    return code.co_code, constants, code.co_names, code.co_exceptiontable
