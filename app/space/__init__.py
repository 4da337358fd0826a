"""The story room as a Hugging Face Space: its folder, its start, and where its stories outlive a restart."""
