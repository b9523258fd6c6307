"""One call between its leg and its agent: who has the floor, what is heard, what is said."""
