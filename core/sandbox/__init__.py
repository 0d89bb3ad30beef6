"""Kit for stateful provider look-alikes: transport-free cores, HTTP server, faults."""
