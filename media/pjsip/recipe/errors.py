"""What stops a build: one class, because every case ends the same way, with a message and a fix."""


class BuildError(Exception):
    """The build cannot go on; the message names the cause and what to do about it."""
