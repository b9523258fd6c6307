"""Measurements of a running gateway: a load generator, the scenarios that drive it, and their results."""
