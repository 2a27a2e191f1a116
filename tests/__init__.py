"""Tests of the package: through its front door, and tables of its rules."""
