"""What can go wrong with a deployment in a cluster, in words for people."""


class CannotCopyError(ValueError):
    """The deployment can't be made as asked; the message says why, and what to do."""


class ClusterError(RuntimeError):
    """The cluster refused, or could not be asked.

    Args:
        message: What failed, and what to do.
        code: The HTTP status of the refusal; 0 if the API server could not be heard.
    """

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code
