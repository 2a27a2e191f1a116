"""Tests of the package, through its front door."""
