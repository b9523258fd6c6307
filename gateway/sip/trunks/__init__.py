"""Trunks: registering with them, recognising their calls, finding their addresses."""
