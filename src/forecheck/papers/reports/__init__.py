"""A reproduction as text, Markdown and HTML pages."""
