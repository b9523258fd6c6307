"""What the process as a whole keeps in order."""
