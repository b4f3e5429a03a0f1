"""Train states: written beside the loop, read by any number of processes."""
