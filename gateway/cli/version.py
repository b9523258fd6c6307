"""Which release of Offhook this is."""

from importlib import metadata


def version() -> str:
    """Offhook's version as installed."""
    try:
        return metadata.version("offhook")
    except metadata.PackageNotFoundError:
        return "0+unknown"
