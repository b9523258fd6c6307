"""What holds for every test."""

from hypothesis import HealthCheck, settings

# No test fails because the machine is busy. Everything else is as Hypothesis has it, also its choices when CI is set.
settings.register_profile("any-machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")
