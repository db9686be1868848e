"""The error for an address that cannot be listened on: the same words for Envoys and for the server."""


def cannot_listen(where: object, error: Exception, *, purpose: str = "", option: str = "") -> OSError:
    """Return an error that says which address, what for, why, and which option chooses another one.

    Args:
        where: The address, as `ip:port`.
        error: What the operating system says; gRPC says nothing of the reason.
        purpose: What would be served there.
        option: The option that sets the address.
    """
    reason = error.strerror if isinstance(error, OSError) else None
    # Python's asyncio and sockets add the address once more.
    why = reason.partition(" (while")[0] if reason else "is the port busy?"
    what = f"{where} for {purpose}" if purpose else f"{where}"
    return OSError(f"cannot listen on {what}: {why}" + (f"; choose another with {option}" if option else ""))
