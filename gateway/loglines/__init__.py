"""The way of a log line: bounded, counted, written by a thread of its own. `gateway/logs.py` puts it together."""
