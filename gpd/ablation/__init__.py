"""Many pipelines side by side."""
