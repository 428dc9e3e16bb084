"""Staged rollouts: lists in shadow, for some clients, for all; and back to shadow by themselves."""
