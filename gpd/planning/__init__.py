"""`gpd plan`: memory, time and disk of a whole pipeline on a device, before anything is loaded."""
