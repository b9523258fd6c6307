"""What is voice and what is not, in one party's frames."""
