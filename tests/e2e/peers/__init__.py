"""Real SIP peers for end-to-end tests: Kamailio, SIPp, baresip, and a caller whose every packet is timed.

Each peer runs on loopback with free ports in a temporary directory, ends only the process it started, waits with
deadlines, and shows its log when something fails.
"""
