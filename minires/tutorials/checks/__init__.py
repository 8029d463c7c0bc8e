"""The checks of the tutorials' exercises: a file for each tutorial."""
