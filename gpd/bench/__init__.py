"""`gpd bench wan`: the real architectures with random weights, through every command, at any size."""
