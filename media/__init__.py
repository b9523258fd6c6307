"""Audio: the native engine, legs, voice activity detection, barge-in and the conversation of one call.

Nothing in this package knows SIP, the dialplan or the gateway's settings.
"""
