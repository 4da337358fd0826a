"""Published weights on this machine: asked of the hub, fetched so that a cut costs nothing, verified, removed."""
