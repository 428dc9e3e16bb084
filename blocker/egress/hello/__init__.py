"""The first bytes of a connection, read: TLS, QUIC, HTTP, mmtls, DNS. Pure: any bytes become a value or an Unread."""
