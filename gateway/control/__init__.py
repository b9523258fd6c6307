"""The local control socket: what `offhook status` asks the running gateway."""
