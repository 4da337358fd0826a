"""The big models' weights as a person sees them: listed, fetched with progress, verified, removed."""
