"""The model is taught somebody's own world: lessons, the process that learns them, and the adapters that they leave."""
