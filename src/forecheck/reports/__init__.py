"""One plain dict per report, and its renderers: text, JSON, Markdown and one offline HTML page."""
