"""Fuzzing of the readers: what is read, from what it starts and how it is changed."""
