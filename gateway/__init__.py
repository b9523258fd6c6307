"""What decides: the SIP endpoint, the dialplan, calls, agents and the command line."""
