"""Batches → weights: the epoch loop and everything that decides a number in it."""
