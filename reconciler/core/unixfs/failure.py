"""What is no UnixFS, or cannot be made one."""


class UnixfsError(ValueError):
    """A block that is not what its place asks for, or a name, size or option that UnixFS cannot hold."""
