"""What the pipeline has left behind, on one page."""
