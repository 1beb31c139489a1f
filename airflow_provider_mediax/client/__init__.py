"""The only place with sockets: two drivers of the same protocol flows, and the one retry decision."""
