"""What the page is made of: templates, style and script."""
