"""How the parts of a run are done: in this process, in shares, on a cluster, whatever dies."""
