"""What ends a measurement without a result."""

from __future__ import annotations


class MeasurementFailedError(Exception):
    """The gateway or the generator did not do its part; the text has what it said."""


class PeerMissingError(Exception):
    """What the gateway is compared with cannot be had on this machine; the text says why."""
