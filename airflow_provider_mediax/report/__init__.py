"""The HTML report of what jobs have found: facts, sound, drawing, and the page."""
