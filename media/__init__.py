"""What sounds: the native engine, legs, voice activity, barge-in and the conversation of one call.

Nothing in this package knows SIP, the dialplan or the gateway's settings.
"""
