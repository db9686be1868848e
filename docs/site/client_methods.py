"""What Griffe, which reads code without running it, does not see: the client's methods are made of operations.

Invariant: a method is documented as its operation, with what it returns to the caller in place of the operation.
"""

import griffe

_OPERATIONS = "client.operations"
_CLIENTS = {"client.blocking_client.Client": "Iterator", "client.async_client.AsyncClient": "AsyncIterator"}


class ClientMethods(griffe.Extension):
    """Puts methods in the place of `name = _Call(operations.name)` and `_List(...)`."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: object) -> None:
        """Change the clients, once all is read."""
        del kwargs
        if pkg.path != "detour":
            return
        for path, iterator in _CLIENTS.items():
            client = pkg[path]
            for name, member in list(client.members.items()):
                if str(getattr(member, "value", "")).startswith(("_Call(", "_List(")):
                    client.set_member(name, _method(pkg[f"{_OPERATIONS}.{name}"], client, iterator))


def _method(operation: griffe.Function, client: griffe.Class, iterator: str) -> griffe.Function:
    made = griffe.Function(
        operation.name,
        parameters=griffe.Parameters(
            griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword), *operation.parameters
        ),
        returns=_returned(operation, iterator),
        docstring=operation.docstring,
        lineno=operation.lineno,
        parent=client,
    )
    if iterator == "AsyncIterator" and not str(operation.returns).startswith("Listing"):
        made.labels.add("async")
    return made


def _returned(operation: griffe.Function, iterator: str) -> griffe.Expr | str:
    """Return what a method returns: of `Operation[X]` X, of `Listing[X]` an iterator of X."""
    returned = operation.returns
    if not isinstance(returned, griffe.ExprSubscript):
        return str(returned)
    if str(returned.left) == "Listing":
        return griffe.ExprSubscript(iterator, returned.slice)
    return returned.slice
