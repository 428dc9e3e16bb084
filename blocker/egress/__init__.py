"""What the network may pass: rules for the kernel, what DNS answers teach them, and what is seen on the wire."""
