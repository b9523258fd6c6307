"""The SIP endpoint: the only package that imports pjsua2.

One thread owns PJSIP (`endpoint.SipEndpoint`). It turns PJSIP's callbacks into the frozen events of `events` and
executes commands; it decides nothing.
"""
