"""Clips as latents: what is sampled, how, and where it lies."""
