"""The miniature Wan: its world of clips, its training, and the oracle that reads its samples."""
