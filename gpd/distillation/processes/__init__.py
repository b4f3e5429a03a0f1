"""Several processes at one stage: started, sharing the work out, cutting networks, and stopping together."""
