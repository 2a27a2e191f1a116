"""Metrics → people and services."""
