"""Intake's HTTP interface."""
