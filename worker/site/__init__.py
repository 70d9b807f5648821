"""The pages for people: the landing page, how to set agents up, and what crawlers ask for."""
