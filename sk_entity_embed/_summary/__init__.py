"""What a fit has learned, at a glance: facts, advice, and their text, Markdown and HTML."""
