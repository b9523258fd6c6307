"""Voice activity detection in the frames of one party."""
