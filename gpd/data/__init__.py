"""Prompts and clips in, embeddings and latents out."""
