"""A story on the Hugging Face Hub: what would be sent, shown beforehand, and sending it."""
