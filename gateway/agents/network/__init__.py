"""The parts of agents that reach a backend over the network: protocols, connections, and what they share."""
