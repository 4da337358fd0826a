"""What a person may ask for, one file a subject; app.pages.desk puts them together."""
