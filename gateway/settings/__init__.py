"""gateway.yaml: read once, checked completely, and immutable from then on."""

from gateway.settings.load import Loaded, control_socket, load_control, load_settings, service_socket, settings_path
from gateway.settings.model import Settings
from gateway.settings.partial import SettingsError
from gateway.settings.problem import ConfigurationError, DialplanError, Problem
from gateway.settings.trunks import Trunk

__all__ = [
    "ConfigurationError",
    "DialplanError",
    "Loaded",
    "Problem",
    "Settings",
    "SettingsError",
    "Trunk",
    "control_socket",
    "load_control",
    "load_settings",
    "service_socket",
    "settings_path",
]
