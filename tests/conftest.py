"""Hypothesis for everybody: no deadline, since machines differ, and the same examples in every run of CI."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "house", deadline=None, max_examples=100, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")
