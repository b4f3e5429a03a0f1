"""What lies on the disk: compared with its digests, repaired, and cleared away when it is old."""
