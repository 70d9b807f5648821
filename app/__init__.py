"""The product: a local server that speaks OpenAI's dialect and asks Cursor's Composer."""
