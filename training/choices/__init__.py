"""What is learnt from a person's choices: their taste in words and in takes. See main."""
