"""Calls: who may come in, what happens to each, and what is known of it afterwards."""
