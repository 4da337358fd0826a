"""Data from outside the picture-book world: what is published, as rows of a caption and a picture or clip."""
