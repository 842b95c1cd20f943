"""The suite of distributions: what each says of itself, what its registration does, and what it leaves behind."""
