"""Does what is banned stay blocked, right now, on the sockets of clients? Asked as a client asks."""
