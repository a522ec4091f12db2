"""A method outside the package, as somebody else would write one: SimCLR with a backbone and a neck."""
