"""Evidence: attempts as a chain of hashes with signed checkpoints, and the check that nothing of it was altered."""
