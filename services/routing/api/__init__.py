"""Routing's HTTP interface."""
