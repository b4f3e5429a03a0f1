"""One module a command of `gpd`; where the rooms are joined."""
