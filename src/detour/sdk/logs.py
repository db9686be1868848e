"""Log levels for one request."""


def install() -> None:
    """Honour `override.log.<service>`."""
