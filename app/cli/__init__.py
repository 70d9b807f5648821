"""The commands of `python -m app`; app/agents/cli.py and the server have their own."""
