"""The path of a log line: limits of size and rate, and a thread that writes it. `gateway/logs.py` connects them."""
