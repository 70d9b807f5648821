"""The pipeline: from source to a published, verified release."""
