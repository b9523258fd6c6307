"""Agents elsewhere: what the kinds share that reach their backend over the network."""
