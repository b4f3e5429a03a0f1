"""VBench (Huang et al. 2023, arXiv 2311.17982): its clips, its package behind a file interface, its total."""
