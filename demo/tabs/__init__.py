"""One builder a tab."""
