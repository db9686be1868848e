"""The error for an address that is not available: Envoy and the server use the same words."""


def cannot_listen(where: object, error: Exception, *, purpose: str = "", option: str = "") -> OSError:
    """Return an error that names the address, its purpose, the reason, and the option to choose another address.

    Args:
        where: The address, as `ip:port`.
        error: The operating system's error. gRPC reports no reason.
        purpose: What would be served there.
        option: The option that sets the address.
    """
    reason = error.strerror if isinstance(error, OSError) else None
    # Python's asyncio and sockets repeat the address in the message.
    why = reason.partition(" (while")[0] if reason else "is the port busy?"
    what = f"{where} for {purpose}" if purpose else f"{where}"
    return OSError(f"cannot listen on {what}: {why}" + (f"; choose another with {option}" if option else ""))
