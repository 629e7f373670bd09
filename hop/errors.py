"""The two kinds of failure that a person meets; the command line prints each as one line."""


class UserError(ValueError):
    """The request cannot be served as it was made. The message names the thing and the remedy."""


class RunError(RuntimeError):
    """A well-formed run failed, or a stored file is damaged. The message says what is whole."""
