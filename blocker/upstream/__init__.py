"""Asks the upstream resolvers: whom, how, and which packet is the reply."""
