"""Tensors and nothing else: noise levels, velocities, samplers."""
