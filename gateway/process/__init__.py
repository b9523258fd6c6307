"""What concerns the whole process: garbage collection, delays, overload, real-time priority."""
