"""Tests of chaos/: the harness, and short forms of cases that need no framework."""
