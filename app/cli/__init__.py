"""The commands of `python -m app`, but for those that others own: app/agents/cli.py and the server itself."""
