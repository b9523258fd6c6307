"""The local control socket, over which `offhook status` and `offhook reload` reach the running gateway."""
